// One session's track on the map: the way in the colours of its speed, stays as discs, outliers as
// crosses, and the place that the chart's pointer means.

import { colours, onSchemeChange, speedStep, speedSteps } from "./colours.js";
import { libraries } from "./library.js";
import { dayClock, span } from "./words.js";

const gap = 20 * 60_000; // without points this long the way between is not known, and drawn dashed

/** trackLayer makes it. show(track) draws one, point(p) marks a place on it, clear() takes all away. */
export async function trackLayer(map, signal) {
  const { L } = await libraries();
  if (signal.aborted) return null;
  const group = L.layerGroup().addTo(map);
  let paint = colours();
  let shown = null;
  let cursor = null;

  const show = (track) => {
    shown = track;
    group.clearLayers();
    cursor = null;
    if (!track) return;
    const { parts, unknown } = split(track.points);
    for (const stay of track.stays) {
      L.circle([stay.lat, stay.lon], { radius: Math.max(30, stay.radius), color: paint.stay, weight: 1.5, fillColor: paint.stay, fillOpacity: 0.22 })
        .bindTooltip(document.createTextNode(`Stay of ${span(stay.to - stay.from)}, from ${dayClock(stay.from)}`)).addTo(group);
    }
    if (unknown.length > 0) L.polyline(unknown, { color: paint["text-muted"], weight: 1.5, dashArray: "4 6", interactive: false }).addTo(group);
    L.polyline(parts.flat(), { color: paint["marker-edge"], weight: 6.5, opacity: 0.9, interactive: false }).addTo(group);
    parts.forEach((lines, step) => {
      if (lines.length > 0) L.polyline(lines, { color: paint[`speed-${step}`], weight: 4, interactive: false }).addTo(group);
    });
    for (const point of track.points) {
      if (!point.outlier) continue;
      const here = [point.lat, point.lon];
      L.circleMarker(here, { radius: 5, color: paint.outlier, weight: 2, fill: false }).bindTooltip(document.createTextNode(point.outlier[0].toUpperCase() + point.outlier.slice(1))).addTo(group);
    }
  };
  const point = (where) => {
    if (!where) {
      cursor?.remove();
      cursor = null;
      return;
    }
    if (!cursor) cursor = L.circleMarker([where.lat, where.lon], { radius: 8, color: paint["marker-ring"], weight: 3, fillColor: paint["marker-edge"], fillOpacity: 1, interactive: false }).addTo(group);
    cursor.setLatLng([where.lat, where.lon]);
    cursor.bringToFront();
  };
  onSchemeChange(() => {
    paint = colours();
    show(shown);
  }, signal);
  return { show, point, clear: () => show(null) };
}

/** split cuts a track into the lines of each colour, and the gaps between. */
function split(points) {
  const parts = speedSteps.map(() => []);
  const unknown = [];
  let before = null;
  let line = null;
  let lastStep = -1;
  for (const point of points) {
    if (point.outlier) continue;
    const here = [point.lat, point.lon];
    if (before && point.at - before.at > gap) {
      unknown.push([[before.lat, before.lon], here]);
      line = null;
    } else if (before) {
      const step = speedStep(point.pace);
      if (!line || step !== lastStep) {
        line = [[before.lat, before.lon]];
        parts[step].push(line);
        lastStep = step;
      }
      line.push(here);
    }
    before = point;
  }
  return { parts, unknown };
}
