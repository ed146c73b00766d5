// Where the sessions in view have just been: closer in than the land is true, their ways are the map.

import { call } from "../api.js";
import { colours, onSchemeChange } from "./colours.js";
import { place } from "./geo.js";
import { libraries } from "./library.js";

const reachBack = 45 * 60_000;
const most = 40; // sessions in view; of more the ways would only be a tangle
const fromZoom = 9;
const atOnce = 3;
const again = 60_000;

/** trailLayer draws them. draw() has it look again at what is in view. */
export async function trailLayer(map, { visible, chosen, signal }) {
  const { L } = await libraries();
  if (signal.aborted) return null;
  const lines = new Map();
  const group = L.layerGroup().addTo(map);
  let paint = colours();
  let fetching = 0;

  const inView = () => {
    if (map.getZoom() < fromZoom) return [];
    const bounds = map.getBounds().pad(0.3);
    const there = visible().filter((session) => session.at && bounds.contains([session.lat, session.lon]));
    return there.length > most ? [] : there;
  };
  const draw = () => {
    if (signal.aborted) return;
    const shown = new Set(inView());
    for (const [session, line] of lines) {
      if (shown.has(session) && session.id !== chosen()) continue;
      line.remove();
      lines.delete(session);
    }
    for (const session of shown) {
      if (session.id === chosen()) continue;
      if (session.trail.length === 0 && Date.now() - (session.trailAsked ?? 0) > again && fetching < atOnce) load(session);
      if (session.trail.length < 2) continue;
      const since = Date.now() - reachBack;
      while (session.trail.length > 1 && session.trail[0].at < since) session.trail.shift();
      const style = { color: paint.trail, weight: 2.5, opacity: chosen() ? 0.16 : 0.5, interactive: false };
      const places = session.trail.map(({ lat, lon }) => [lat, lon]);
      if (lines.has(session)) lines.get(session).setLatLngs(places).setStyle(style);
      else lines.set(session, L.polyline(places, style).addTo(group));
    }
  };
  const load = async (session) => {
    session.trailAsked = Date.now();
    if (Date.now() - session.at > reachBack) return;
    fetching += 1;
    try {
      const { data_points: points } = await call("GET", "/tracking/timeseries/session_by_device/data_points/v1", {
        signal,
        query: { session_id: session.id, bucket_seconds: 10, start_timestamp: new Date(Date.now() - reachBack).toISOString(), end_timestamp: new Date(Date.now() + 60_000).toISOString() },
      });
      session.trail = points.map((point) => ({ at: Date.parse(point.timestamp), ...place(point.location) }));
    } catch {
      // It is asked for again with a later look.
    } finally {
      fetching -= 1;
      if (!signal.aborted) draw();
    }
  };
  map.on("moveend", draw);
  onSchemeChange(() => {
    paint = colours();
    for (const line of lines.values()) line.setStyle({ color: paint.trail });
  }, signal);
  return { draw };
}
