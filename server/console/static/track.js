// The page behind a public link: one session's newest place and its track, for people without an
// account. It knows nothing else, and shows nothing any more as soon as the session is not public.

import { el, icon } from "./dom.js";
import { moment } from "./format.js";
import { curlButton, exportMenu } from "./sessions/export.js";
import { followNewest, routes } from "./sessions/history.js";
import { makeMap, showAll } from "./sessions/map.js";
import { markerLayer } from "./sessions/markers.js";
import { bounds, rangeField, readRange, writeRange } from "./sessions/range.js";
import { sessionStore } from "./sessions/store.js";
import { trackView } from "./sessions/track_view.js";
import { clock, span, speed } from "./sessions/words.js";

const main = document.getElementById("main");
const wait = 5; // so that the page is empty soon after the session has ceased to be public

let stop = () => {};

function open() {
  stop();
  const stopping = new AbortController();
  const { signal } = stopping;
  stop = () => stopping.abort();
  const [id, parameters = ""] = location.hash.slice(1).split("?");
  if (!/^[0-9a-f]{24}$/.test(id)) {
    gone(stopping);
    return;
  }
  const page = trackPage({ id, range: readRange(new URLSearchParams(parameters)), signal });
  followNewest(routes.open.newest, id, {
    wait,
    seen: (point) => page.seen(point),
    failed: (error) => {
      if (error.status === 404) gone(stopping);
      else page.lost(error);
      return error.status !== 404;
    },
  }, signal);
}

/** gone takes everything off the page. */
function gone(stopping) {
  stopping.abort();
  document.title = "Not shared · lastseen";
  main.replaceChildren(el("div", { class: "gate" }, el("img", { src: "/console/icon.svg", alt: "", width: "44", height: "44" }),
    el("h1", { tabindex: "-1" }, "This track is not shared"),
    el("p", { class: "muted" }, "The link is not complete, or whoever shared it has stopped doing so. Ask them for a new one.")));
}

function trackPage({ id, range, signal }) {
  const store = sessionStore();
  let session = null;
  let map = null;
  let markers = null;
  let shownRange = range;
  let asOf = 0;
  const current = () => bounds(shownRange, session?.at);
  const view = trackView({ path: routes.open.points, id, signal });
  const status = el("p", { class: "detail-status", role: "status" }, "Loading…");
  const request = () => {
    const { from, to } = current();
    const asked = { session_id: id, start_timestamp: new Date(from).toISOString(), end_timestamp: new Date(to).toISOString() };
    return { path: routes.open.points, query: view.track()?.query ?? asked, name: `track-${id.slice(-6)}` };
  };
  const curl = curlButton(request, { withKey: false });
  const tools = el("div", { class: "detail-tools" });
  const mapBox = el("div", { class: "map", role: "application", "aria-label": "Map of the track" });
  const element = el("section", { class: "detail", "aria-label": "The track" },
    el("div", { class: "detail-title" }, el("h1", { tabindex: "-1" }, "Shared track"), status), tools, curl.line, view.element);
  const load = async (fit) => {
    try {
      const track = await view.load(current());
      if (track && fit && map) showAll(map, [...track.points, ...(session?.at ? [session] : [])], { maxZoom: 16 });
    } catch {
      // It is shown where the track would be.
    }
  };
  const tell = () => {
    status.replaceChildren(...(session?.at
      ? [el("span", {}, `Seen ${span(Date.now() - session.at)} ago, on ${moment(new Date(session.at))}`), session.speed !== undefined && el("span", {}, speed(session.speed))].filter(Boolean)
      : [el("span", {}, "It has not been seen yet.")]));
  };
  const begin = async () => {
    main.replaceChildren(mapBox, element);
    tools.replaceChildren(rangeField(shownRange, current, (chosen) => {
      shownRange = chosen;
      history.replaceState(null, "", `#${id}${writeRange(chosen)}`);
      load(true);
    }), view.replay, exportMenu(request, signal), curl.button);
    map = await makeMap(mapBox, signal);
    if (!map) return;
    markers = await markerLayer(map, { visible: () => store.all(), chosen: () => "", onChoose: () => {}, signal });
    await view.attach(map);
    await load(true);
    markers.draw();
  };
  const seen = (point) => {
    asOf = Date.now();
    const isFirst = session === null;
    if (isFirst) {
      store.put({ _id: id, device_mac_address: "The newest position" });
      session = store.get(id);
    }
    if (point && store.at(id, point)) {
      if (shownRange.last) view.add(point);
      markers?.draw();
    }
    tell();
    if (isFirst) begin();
  };
  const lost = (error) => {
    if (session) status.replaceChildren(el("span", {}, icon("warning"), ` The connection is lost. What is shown is as of ${clock(asOf)}; it goes on by itself.`));
    else main.replaceChildren(el("div", { class: "gate" }, el("h1", {}, "The track cannot be shown"), el("p", { class: "notice notice-danger", role: "alert" }, error.message)));
  };
  const timer = setInterval(() => { if (session && Date.now() - asOf < 15_000) tell(); }, 5000);
  signal.addEventListener("abort", () => clearInterval(timer));
  return { seen, lost };
}

addEventListener("hashchange", open);
open();
