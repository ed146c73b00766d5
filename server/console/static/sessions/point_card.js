// The point that is looked at: a slider that goes through the track, what is known of the point, and
// the mark as an outlier.

import { call } from "../api.js";
import { announce, el, uniqueId } from "../dom.js";
import { battery, clockSeconds, dayClock, speed } from "./words.js";

/**
 * pointCard makes it. chosen(point) is called when the slider moves; marked() when a mark has
 * changed. Without marked there is no button. show(i) puts it at a point; points is set by use().
 */
export function pointCard({ chosen, marked }) {
  let points = [];
  const id = uniqueId("point");
  const slider = el("input", { class: "slider", id, type: "range", min: "0", max: "0", value: "0", "aria-label": "Point on the track", oninput: () => show(Number(slider.value), true) });
  const facts = el("p", { class: "point-facts" });
  const button = el("button", { class: "button button-small", type: "button", onclick: () => mark() }, "Mark as outlier");
  let touched = false;
  /** show puts it at a point. Until somebody has moved it, the newest point is not marked on the map, which shows it anyway. */
  const show = (i, byHand = false, quiet = false) => {
    const point = points[i];
    touched ||= !quiet;
    if (!point) return;
    slider.value = String(i);
    const parts = [clockSeconds(point.at), point.outlier || speed(point.pace), `${point.lat.toFixed(5)}, ${point.lon.toFixed(5)}`,
      point.altitude !== undefined && `${Math.round(point.altitude)} m high`, point.accuracy !== undefined && `± ${Math.round(point.accuracy)} m`,
      point.battery !== undefined && `battery ${battery(point.battery)}`, point.temperature !== undefined && `${point.temperature} °C`];
    facts.textContent = parts.filter(Boolean).join(" · ");
    slider.setAttribute("aria-valuetext", `${dayClock(point.at)}, ${point.outlier || speed(point.pace)}`);
    button.textContent = point.outlier ? "It is no outlier" : "Mark as outlier";
    if (touched) chosen(point, byHand);
  };
  const mark = async () => {
    const point = points[Number(slider.value)];
    if (!point) return;
    button.disabled = true;
    try {
      const answer = await call("POST", "/tracking/timeseries/session_by_device/outlier/v1", {
        body: { outlier: !point.outlier, tracking_session_by_device_data_point_ids: [point.id] },
      });
      if (answer.successful_updates === 1) {
        announce(point.outlier ? "The point counts again, and is not marked by itself any more." : "The point is marked as an outlier and does not count.");
        marked(point);
      } else announce("The mark could not be changed: only the organisation that owns the session can.", { failed: true });
    } catch (error) {
      announce(`The mark could not be changed. ${error.message}`, { failed: true });
    }
    button.disabled = false;
    button.focus();
  };
  /** use takes a track's points. The slider stays at its point, or at the end when it was there. */
  const use = (newPoints) => {
    const before = points[Number(slider.value)];
    const atEnd = Number(slider.value) >= points.length - 1;
    const kept = atEnd || !before ? -1 : newPoints.findIndex(({ at }) => at >= before.at);
    points = newPoints;
    slider.max = String(Math.max(0, points.length - 1));
    element.hidden = points.length === 0;
    if (points.length > 0) show(kept >= 0 ? kept : points.length - 1, false, true);
  };
  const element = el("div", { class: "point-card", hidden: true }, slider, el("div", { class: "point-line" }, facts, marked && button));
  return { element, show, use, at: () => Number(slider.value), points: () => points };
}
