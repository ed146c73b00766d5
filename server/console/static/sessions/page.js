// The sessions page: the list, the map, and the session that is chosen.

import { call } from "../api.js";
import { el, icon } from "../dom.js";
import { sessionDetail } from "./detail.js";
import { mostSessions, sessionFeed } from "./feed.js";
import { place } from "./geo.js";
import { sessionList } from "./list.js";
import { makeMap, mapButton, showAll } from "./map.js";
import { markerLayer } from "./markers.js";
import { forDrivers, loadingRows, missing, noSessions } from "./notices.js";
import { readRange } from "./range.js";
import { searchField } from "./search.js";
import { stateOf, states } from "./states.js";
import { sessionStore } from "./store.js";
import { trailLayer } from "./trails.js";
import { clock, count, number } from "./words.js";

/** sessionsPage makes the view of an organisation. go(rest) tells it that the address has changed to another session. */
export function sessionsPage({ membership }) {
  const { org_id: organisation, role } = membership;
  if (role === "driver") return { element: forDrivers(organisation) };
  const stopping = new AbortController();
  const { signal } = stopping;
  const base = `#/${encodeURIComponent(organisation)}/sessions`;
  const store = sessionStore();
  const view = pageParts({ base, signal, manages: ["owner", "administrator"].includes(role), organisation });
  let filter = "";
  let chosen = "";
  let detail = null;
  let loaded = false;
  let whollyLoaded = false;
  let framed = false;
  let total = 0;
  let endedTotal = 0;
  let layers = null;

  const matching = () => {
    const text = view.search.text().toLowerCase();
    const now = Date.now();
    return store.all().filter((session) => {
      if (text && !session.text.includes(text)) return false;
      const state = stateOf(session, now);
      return filter ? state === filter : state !== "ended" || text !== "" || session.id === chosen;
    });
  };
  let found = [];
  const draw = () => {
    if (!loaded || signal.aborted) return; // what was asked for before the end may be answered after it
    found = matching();
    view.list.show(found, chosen);
    view.tally({ counts: store.tally(Date.now()), endedTotal, filter, total, found: found.length, active: total });
    layers?.markers.draw();
    layers?.trails.draw();
    detail?.update?.();
  };
  let drawing = 0;
  const drawSoon = () => { // many move at once
    drawing ||= setTimeout(() => {
      drawing = 0;
      draw();
    }, 200);
  };
  const frame = () => {
    if (framed || signal.aborted || !whollyLoaded || !layers || found.length === 0 || chosen) return;
    framed = true;
    showAll(layers.map, found.filter(({ at }) => at));
  };
  const sink = {
    sessions: (records, { whole }) => {
      for (const record of records) store.put(record);
      if (whole) for (const { id, ended } of store.all().slice()) if (!ended && !whole.has(id) && id !== chosen) store.drop(id);
      if (!loaded) view.ready();
      loaded = true;
      if (store.size > 0) view.empty(false);
      whollyLoaded ||= whole !== undefined;
      draw();
      frame();
      if (chosen && !detail) choose(chosen);
    },
    ended: (records, n) => {
      for (const record of records) store.put(record);
      endedTotal = n;
      view.empty(store.size === 0);
      draw();
    },
    total: (n) => { total = n; },
    moved: (point) => {
      if (store.at(point.metadata.session_id, { at: Date.parse(point.timestamp), ...place(point.location) })) drawSoon();
    },
    connection: (now) => view.connection(now, loaded),
  };
  const feed = sessionFeed(sink, signal);
  view.onFilter = (name) => {
    filter = name === filter ? "" : name;
    view.list.reset();
    draw();
  };
  view.onSearch = () => {
    view.list.reset();
    draw();
  };
  view.onAsk = async (text) => {
    if (text === "" || (total <= mostSessions && endedTotal <= 200)) return;
    try {
      const { items } = await call("GET", "/tracking/sessions/list/v1", { query: { search: text, page_size: 200 }, signal });
      for (const record of items) store.put(record);
      draw();
    } catch {
      // The feed says when the service does not answer.
    }
  };
  view.onRetry = feed.nudge;

  const choose = async (id, range = currentRange()) => {
    detail?.stop?.();
    detail = null;
    chosen = id;
    view.showDetail(null);
    draw();
    if (!id) return;
    let session = store.get(id);
    if (!session) {
      if (!loaded) return; // the list brings it, or brings us here again
      try {
        store.put(await call("GET", "/tracking/sessions/get/v1", { query: { session_id: id }, signal }));
        session = store.get(id);
      } catch (error) {
        if (chosen !== id || signal.aborted) return;
        detail = {};
        view.showDetail(error.status === 404 ? missing(base) : unreachable(error, () => choose(id)));
        return;
      }
      if (chosen !== id) return;
    }
    detail = sessionDetail({
      session, store, map: layersReady.then((ready) => ready?.map), range, base, moved: draw,
      onClose: () => {
        location.hash = base;
        view.list.row(id)?.querySelector("a").focus();
      },
    });
    view.showDetail(detail.element);
    draw();
  };

  const layersReady = makeMap(view.mapBox, signal).then(async (map) => {
    if (!map) return null;
    const options = { visible: () => found, chosen: () => chosen, signal };
    const [markers, trails] = await Promise.all([
      markerLayer(map, { ...options, onChoose: ({ id }) => { location.hash = `${base}/${id}`; } }), trailLayer(map, options),
      mapButton(map, { name: "fit", label: "Show all sessions", onclick: () => showAll(map, found.filter(({ at }) => at)) }),
    ]);
    layers = { map, markers, trails };
    view.element.markers = markers; // what the tests measure
    draw();
    frame();
    return layers;
  }).catch((error) => {
    if (!signal.aborted) view.mapFailed(error);
    return null;
  });
  const timer = setInterval(draw, 5000);
  signal.addEventListener("abort", () => clearInterval(timer));
  return {
    element: view.element,
    go: (id) => choose(id),
    stop: () => {
      detail?.stop?.();
      stopping.abort();
    },
  };
}

/** currentRange reads the range from the address. */
function currentRange() {
  return readRange(new URLSearchParams(location.hash.split("?")[1] ?? ""));
}

function unreachable(error, retry) {
  return el("section", { class: "detail detail-missing", "aria-label": "Session" }, el("p", { class: "notice notice-danger", role: "alert" }, icon("warning"), el("span", {}, error.message)),
    el("button", { class: "button button-small", type: "button", onclick: retry }, "Try again"));
}

/** pageParts makes what the page is put together of. The owner sets onFilter, onSearch, onAsk and onRetry. */
function pageParts({ base, signal, manages, organisation }) {
  const parts = {};
  const summary = el("p", { class: "muted small", id: "session-count" });
  const chips = el("div", { class: "chips", role: "group", "aria-label": "Show only" });
  const buttons = new Map(states.map(({ name, text }) => [name, el("button", { class: "chip", type: "button", "aria-pressed": "false", onclick: () => parts.onFilter(name) }, text)]));
  chips.append(...buttons.values());
  const banner = el("div", { class: "banner", role: "status" });
  const body = el("div", { class: "list-body", "aria-busy": "true" }, loadingRows());
  const note = el("p", { class: "notice list-note", hidden: true });
  const result = el("p", { class: "visually-hidden", role: "status" });
  const detailBox = el("div", { class: "detail-box", hidden: true });
  parts.mapBox = el("div", { class: "map", role: "application", "aria-label": "Map of the newest positions; the list has them, too" });
  parts.list = sessionList({ href: ({ id }) => `${base}/${id}` });
  parts.search = searchField({ changed: () => parts.onSearch(), ask: (text) => parts.onAsk(text), signal });
  parts.element = el("div", { class: "sessions" },
    el("div", { class: "sessions-side" },
      el("div", { class: "sessions-head" }, el("h1", { tabindex: "-1" }, "Sessions"), summary, parts.search.element, chips, result), banner, note, body),
    el("div", { class: "sessions-main" }, parts.mapBox, detailBox));

  parts.ready = () => {
    body.removeAttribute("aria-busy");
    body.replaceChildren(parts.list.element);
  };
  let wasEmpty = false;
  // Where there is no session there is no map, but for what is said of one that a link leads to.
  const arrange = () => parts.element.classList.toggle("is-empty", wasEmpty && detailBox.hidden);
  parts.empty = (isEmpty) => {
    if (isEmpty === wasEmpty) return;
    wasEmpty = isEmpty;
    arrange();
    body.replaceChildren(isEmpty ? noSessions({ manages, settingsPath: `#/${encodeURIComponent(organisation)}/settings` }) : parts.list.element);
  };
  parts.tally = ({ counts, endedTotal, filter, total, found }) => {
    counts.ended = Math.max(counts.ended, endedTotal);
    const words = [["moving", "moving"], ["standing", "standing"], ["silent", "silent"], ["none", "without a position"]];
    const active = Math.max(total, counts.moving + counts.standing + counts.silent + counts.none);
    summary.textContent = [count(active, "session"), ...words.filter(([name]) => counts[name] > 0).map(([name, text]) => `${number(counts[name])} ${text}`)].join(", ");
    for (const [name, button] of buttons) {
      button.hidden = counts[name] === 0 && filter !== name;
      button.setAttribute("aria-pressed", String(filter === name));
    }
    note.hidden = total <= mostSessions;
    note.textContent = `These are ${number(mostSessions)} of ${number(total)} sessions. Search finds the others, too.`;
    const said = parts.search.text() === "" ? "" : found === 0 ? "No session matches." : `${count(found, "session")} found.`;
    if (result.textContent !== said) result.textContent = said;
    parts.list.element.classList.toggle("is-without", found === 0);
    parts.list.element.dataset.none = parts.search.text() || filter ? "No session matches." : "No session is active.";
  };
  let asOf = 0;
  parts.connection = ({ lost, asOf: when, error }, loaded) => {
    if (when) asOf = when;
    parts.element.classList.toggle("is-lost", lost);
    if (!lost) banner.replaceChildren();
    else if (loaded) banner.replaceChildren(el("p", { class: "notice notice-warning" }, icon("warning"), el("span", {}, `The connection is lost. What is shown is as of ${clock(asOf)}; it goes on by itself.`)));
    else {
      banner.replaceChildren(el("div", { class: "notice notice-danger" }, icon("warning"), el("div", {}, el("p", {}, `The sessions cannot be shown. ${error.message}`),
        el("button", { class: "button button-small", type: "button", onclick: () => parts.onRetry() }, "Try again"))));
    }
  };
  parts.showDetail = (element) => {
    detailBox.replaceChildren(...(element ? [element] : []));
    detailBox.hidden = !element;
    arrange();
  };
  parts.mapFailed = (error) => {
    parts.mapBox.replaceChildren(el("div", { class: "map-failed" }, el("p", { class: "notice notice-danger", role: "alert" }, icon("warning"),
      el("span", {}, `The map cannot be shown; the list can. Reload the page to try again. (${error.message})`))));
  };
  return parts;
}
