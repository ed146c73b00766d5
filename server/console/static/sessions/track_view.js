// What is shown of one track: numbers, the chart, the point that is looked at, and the track on the
// map. The page of a session and the page of a public link both are made of it.

import { el } from "../dom.js";
import { speedSteps } from "./colours.js";
import { speedChart } from "./chart.js";
import { append, loadTrack, summary } from "./history.js";
import { pointCard } from "./point_card.js";
import { replayControl } from "./replay.js";
import { trackLayer } from "./track_layer.js";
import { count, dayClock, dayClockSeconds, length, span, speed } from "./words.js";

const listedOutliers = 50;

/**
 * trackView makes it. load(range) asks for a track and shows it; add(point) adds a newer point.
 * canMark says whether points may be marked as outliers.
 */
export function trackView({ path, id, canMark = false, signal }) {
  let track = null;
  let layer = null;
  let chart = null;
  let map = null;
  let range = null;
  const note = el("p", { class: "muted track-note", role: "status" }, "Loading the track…");
  const facts = el("dl", { class: "figures" });
  const stays = el("details", { class: "stays", hidden: true });
  const outlierList = el("details", { class: "stays", hidden: true });
  const chartBox = el("div", { class: "chart", role: "img", "aria-label": "Speed over time" });
  const card = pointCard({
    chosen: (point, byHand) => {
      layer?.point(point);
      chart?.mark(point);
      if (byHand) replay.stop();
    },
    marked: canMark ? () => load(range) : undefined,
  });
  const replay = replayControl({
    points: () => card.points(), at: () => card.at(), signal,
    show: (i) => {
      card.show(i);
      const point = card.points()[i];
      if (map && !map.getBounds().pad(-0.1).contains([point.lat, point.lon])) map.panTo([point.lat, point.lon]);
    },
  });

  const load = async (wanted) => {
    range = wanted;
    try {
      const loaded = await loadTrack(path, id, wanted, signal);
      if (signal.aborted || range !== wanted) return null;
      track = loaded;
      show();
      return track;
    } catch (error) {
      if (signal.aborted) return null;
      note.hidden = false;
      note.replaceChildren(`The track cannot be shown. ${error.message} `, el("button", { class: "button button-small", type: "button", onclick: () => load(wanted) }, "Try again"));
      throw error;
    }
  };
  const show = () => {
    if (!track) return;
    const { points } = track;
    layer?.show(track);
    chart?.show(points);
    card.use(points);
    chartBox.hidden = points.length < 2;
    const { meters, fastest, outliers } = summary(points);
    note.hidden = points.length > 0 && track.bucket === 0;
    note.textContent = points.length === 0
      ? "No points in this range. Choose a longer one."
      : `So many points that one is shown for every ${span(track.bucket * 1000)}. Choose a shorter range to see and mark each.`;
    figures(facts, [
      ["Distance", length(meters)], ["Stays", String(track.stays.length)],
      ["Points", outliers > 0 ? `${count(points.length, "point")}, ${count(outliers, "outlier")}` : count(points.length, "point")],
      ["Fastest", fastest ? `${speed(fastest.pace)} at ${dayClock(fastest.at)}` : "–"],
    ]);
    chartBox.setAttribute("aria-label", fastest ? `Speed over time, at most ${speed(fastest.pace)} at ${dayClock(fastest.at)}. The slider below goes through the points.` : "Speed over time");
    showStays();
    showOutliers();
  };
  const showStays = () => {
    stays.hidden = track.stays.length === 0;
    stays.replaceChildren(el("summary", {}, count(track.stays.length, "stay")),
      el("ul", {}, track.stays.map((stay) => el("li", {},
        el("button", { class: "link-button", type: "button", onclick: () => map?.setView([stay.lat, stay.lon], Math.max(map.getZoom(), 16)) }, `${dayClock(stay.from)}, for ${span(stay.to - stay.from)}`)))));
  };
  /** showOutliers lists what does not count and why, each as a way to the point. */
  const showOutliers = () => {
    const marked = track.points.flatMap((point, i) => (point.outlier ? [[point, i]] : []));
    const listed = marked.slice(-listedOutliers).reverse();
    outlierList.hidden = marked.length === 0;
    outlierList.replaceChildren(el("summary", {}, count(marked.length, "outlier")),
      el("p", { class: "hint" }, marked.length > listed.length ? `They do not count. The last ${listed.length}:` : "They do not count:"),
      el("ul", {}, listed.map(([point, i]) => el("li", {},
        el("button", { class: "link-button", type: "button", onclick: () => goTo(point, i) }, dayClockSeconds(point.at)), ` ${point.outlier.replace(/^outlier: /, "")}`))));
  };
  const goTo = (point, i) => {
    replay.stop();
    card.show(i, true);
    map?.setView([point.lat, point.lon], map.getZoom());
  };
  const add = (point) => {
    if (!track || track.bucket > 0 || !append(track.points, point)) return;
    show();
  };
  /** attach gives it the map and makes the chart, once the libraries are there. */
  const attach = async (theMap) => {
    map = theMap;
    [layer, chart] = await Promise.all([
      trackLayer(map, signal),
      speedChart(chartBox, { signal, onPoint: (point) => { replay.stop(); card.show(card.points().indexOf(point)); } }),
    ]);
    show();
  };
  signal.addEventListener("abort", () => layer?.clear());
  const element = el("div", { class: "track" }, facts, note, chartBox, legend(), card.element, stays, outlierList);
  return { element, load, add, attach, replay: replay.element, track: () => track };
}

function figures(list, entries) {
  list.replaceChildren(...entries.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
}

/** legend says which colour means which speed. */
function legend() {
  return el("ul", { class: "legend", "aria-label": "Colours of the track, in km/h" }, speedSteps.map((from, step) => {
    const next = speedSteps[step + 1];
    return el("li", {}, el("span", { class: `swatch swatch-${step}`, "aria-hidden": "true" }), next ? `${from}–${next}` : `${from}+`);
  }), el("li", { class: "muted" }, "km/h"));
}
