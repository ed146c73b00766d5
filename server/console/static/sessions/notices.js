// What is said where there is no session to be seen.

import { el, icon } from "../dom.js";
import { snippet } from "../snippet.js";

/** noSessions says how sessions come to be. */
export function noSessions({ manages, settingsPath }) {
  return el("div", { class: "none-yet" },
    el("div", { class: "placeholder-icon" }, icon("pin")),
    el("h2", {}, "No sessions yet"),
    el("p", { class: "muted" }, "A session begins when a device's positions are imported or sent. Three ways:"),
    el("h3", {}, "Import tracks that you have"),
    el("p", { class: "muted" }, "CSV, NDJSON, JSON, GPX, GeoJSON, KML, TCX, FIT, NMEA and what phones leave behind; every device in them gets a session."),
    snippet("Import tracks", `export LASTSEEN_SERVER=${location.origin}\nexport LASTSEEN_TOKEN=$(lastseen token --data-dir DIR \\\n  --org org_… --user user_… --role owner)\nlastseen import tracks.csv`),
    el("h3", {}, "Connect a phone or a tracker"),
    el("p", { class: "muted" }, "OwnTracks, Overland, OsmAnd, Traccar Client and GPSLogger send positions as they are, with a device credential that may register devices: ",
      manages ? [el("a", { href: `${settingsPath}/device-credentials` }, "make one"), ", and scan its QR code or type what it shows. "] : "ask the Owner or an Administrator for one. ",
      "For your own programs see ", el("a", { href: "/docs#devices-sessions-and-points" }, "the routes for devices"), "."),
    el("h3", {}, "Look at the demo first"),
    snippet("The demo", "lastseen demo --addr 127.0.0.1:8081"));
}

/** forDrivers says what a Driver can do here. */
export function forDrivers(organisation) {
  return el("div", { class: "page" }, el("div", { class: "page-head" }, el("h1", { tabindex: "-1" }, "Sessions")),
    el("div", { class: "notice" }, icon("info"), el("p", {}, "As a Driver of ", el("strong", { class: "wrap-anywhere" }, organisation),
      " you send positions, and do not see those of others. An Operator of the organisation can show you a session, or give you its public link.")));
}

/** missing says that a link leads to no session. */
export function missing(base) {
  return el("section", { class: "detail detail-missing", "aria-label": "Session not found" },
    el("h2", { tabindex: "-1" }, "This session is not there"),
    el("p", { class: "muted" }, "It does not exist, or this organisation may not see it. Check the link, or ask who gave it to you."),
    el("a", { class: "button button-small", href: base }, "To all sessions"));
}

/** loadingRows stand where the list will be. */
export function loadingRows() {
  return el("div", { class: "rows-loading" }, el("p", { class: "visually-hidden" }, "Loading the sessions."),
    Array.from({ length: 6 }, () => el("div", { class: "skeleton-row" }, el("span"), el("span"))));
}
