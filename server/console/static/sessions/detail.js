// The session that is chosen: how it is, and its track with all that can be done with it.

import { call } from "../api.js";
import { announce, el, icon } from "../dom.js";
import { moment, relative } from "../format.js";
import { curlButton, exportMenu } from "./export.js";
import { followNewest, routes } from "./history.js";
import { showAll } from "./map.js";
import { bounds, rangeField, writeRange } from "./range.js";
import { openShare } from "./share.js";
import { stateOf, stateText } from "./states.js";
import { trackView } from "./track_view.js";
import { battery, span, speed } from "./words.js";

const reloadEvery = 60_000; // for the stays, and for points that came late

/**
 * sessionDetail makes the panel of a session of the store. map is a promise of the map; base is the address of
 * the list; moved() is called when the session is found to have moved.
 */
export function sessionDetail({ session, store, map, range, base, moved, onClose }) {
  const stopping = new AbortController();
  const { signal } = stopping;
  let currentRange = range;
  let following = false;
  let theMap = null;
  const current = () => bounds(currentRange, session.at);
  const view = trackView({ path: routes.own.points, id: session.id, canMark: true, signal });
  const heading = el("h2", { tabindex: "-1", class: "wrap-anywhere" }, session.label);
  const status = el("p", { class: "detail-status" });
  const request = () => {
    const track = view.track();
    const { from, to } = current();
    const asked = { session_id: session.id, start_timestamp: new Date(from).toISOString(), end_timestamp: new Date(to).toISOString() };
    return { path: routes.own.points, query: track?.query ?? asked, name: session.label };
  };
  const curl = curlButton(request);
  const followButton = el("button", { class: "button button-small", type: "button", "aria-pressed": "false", onclick: () => follow(!following) }, icon("target"), "Follow");
  const shareLabel = el("span", {});
  const shareButton = el("button", { class: "button button-small", type: "button", onclick: () => openShare(session, showStatus) }, icon("share"), shareLabel);

  const follow = (on) => {
    following = on;
    followButton.setAttribute("aria-pressed", String(on));
    if (on && session.at) theMap?.setView([session.lat, session.lon], Math.max(theMap.getZoom(), 15));
  };
  const showStatus = () => {
    const state = stateOf(session, Date.now());
    status.replaceChildren(
      el("span", { class: `state state-${state}` }, stateText(state)),
      ...[session.at && el("time", { datetime: new Date(session.at).toISOString(), title: moment(new Date(session.at)) }, `seen ${span(Date.now() - session.at)} ago`),
        state === "moving" && speed(session.speed), session.battery !== undefined && `battery ${battery(session.battery)}`,
        session.record.terminated_at_timestamp && `ended ${relative(new Date(session.record.terminated_at_timestamp))}`,
        session.label !== session.mac && session.mac, session.comments].filter(Boolean).map((part) => el("span", { class: "wrap-anywhere" }, part)));
    shareLabel.textContent = session.record.public ? "Shared" : "Share";
  };
  const load = async (isFirst) => {
    try {
      const track = await view.load(current());
      if (track && isFirst && theMap && !following) showAll(theMap, track.points.filter(({ outlier }) => !outlier).concat(session.at ? [session] : []), { maxZoom: 16 });
    } catch {
      // It is shown where the track would be, with a way to try again.
    }
  };
  const changeRange = (chosen) => {
    currentRange = chosen;
    history.replaceState(null, "", `${base}/${session.id}${writeRange(chosen)}`);
    load(true);
  };
  const seen = (point) => {
    if (!point) return;
    if (store.at(session.id, point)) moved();
    if (currentRange.last && !session.ended) view.add({ ...point });
    if (following && theMap) theMap.panTo([point.lat, point.lon]);
    showStatus();
  };
  const closeButton = el("button", { class: "button button-small button-quiet", type: "button", "aria-label": "Close", title: "Close", onclick: onClose }, icon("close"));
  const timer = setInterval(showStatus, 5000);
  const reload = setInterval(() => { if (currentRange.last && document.visibilityState === "visible") load(false); }, reloadEvery);
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    clearInterval(reload);
  });
  const element = el("section", { class: "detail", "aria-label": `Session ${session.label}` },
    el("div", { class: "detail-head" }, el("div", { class: "detail-title" }, heading, status), closeButton),
    el("div", { class: "detail-tools" }, rangeField(currentRange, current, changeRange), view.replay, followButton,
      exportMenu(request, signal), curl.button, shareButton, endButton(session, signal, showStatus)),
    curl.line, view.element);
  const title = document.title;
  document.title = `${session.label} · lastseen`;
  signal.addEventListener("abort", () => { document.title = title; });
  showStatus();
  map.then(async (ready) => {
    if (signal.aborted) return;
    theMap = ready;
    if (ready) await view.attach(ready);
    if (!signal.aborted) await load(true); // also without a map, as numbers
  });
  followNewest(routes.own.newest, session.id, { seen, failed: ({ status: code }) => code !== 404 && code !== 401 }, signal);
  return { element, heading, update: showStatus, stop: () => stopping.abort() };
}

/** endButton ends a session that is active, after asking once more in place. */
function endButton(session, signal, changed) {
  if (session.ended) return null;
  let asked = false;
  const label = el("span", {}, "End");
  const button = el("button", {
    class: "button button-small button-quiet is-danger", type: "button", "aria-label": `End session ${session.label}`,
    onclick: async () => {
      if (!asked) {
        asked = true;
        label.textContent = "Really end it?";
        return;
      }
      try {
        await call("POST", "/tracking/sessions/terminate/v1", { query: { session_id: session.id }, signal });
        session.ended = true;
        button.remove();
        announce(`“${session.label}” has ended.`);
      } catch (error) {
        if (!signal.aborted) announce(error.status === 404 ? "Only the organisation that owns this session can end it." : error.message, { failed: true });
      }
      changed();
    },
    onblur: () => {
      asked = false;
      label.textContent = "End";
    },
  }, label);
  return button;
}
