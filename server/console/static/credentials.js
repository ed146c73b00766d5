// The list of an organisation's keys of one kind, and what has been done to them.

import { call } from "./api.js";
import { openCreate, openRevoke, openRotate } from "./actions.js";
import { activity } from "./activity.js";
import { announce, el, icon } from "./dom.js";
import { date, moment, relative } from "./format.js";

const refreshMilliseconds = 60_000;
const soon = 7 * 86_400_000;

/**
 * credentialsTab makes the tab's content. It loads the list, and again when the page comes back into
 * view and every minute while it is. stop() ends that.
 */
export function credentialsTab(kind) {
  const stopping = new AbortController();
  const { signal } = stopping;
  const addButton = el("button", { class: "button button-primary", type: "button", onclick: () => openCreate(kind, changed) },
    icon("plus"), `Add new ${kind.short}`);
  const heading = el("h2", { tabindex: "-1" }, kind.tab);
  const list = el("div", { class: "list" });
  const events = activity(kind, signal);
  let loaded = false;

  const load = async () => {
    if (!loaded) showLoading(list, kind);
    try {
      const records = await call("GET", `${kind.path}/list/v1`, { signal });
      loaded = true;
      keepFocus(list, heading, () => showRecords(list, kind, records, { changed, add: () => openCreate(kind, changed) }));
    } catch (error) {
      if (signal.aborted) return;
      // A list that could not be brought up to date is no longer true, so it does not stay.
      loaded = false;
      showError(list, kind, error, load);
    }
  };
  const changed = (sentence) => {
    if (sentence) announce(sentence);
    load();
    events.load();
  };
  const refresh = () => {
    if (document.visibilityState === "visible" && loaded) load();
  };
  document.addEventListener("visibilitychange", refresh, { signal });
  const timer = setInterval(refresh, refreshMilliseconds);
  signal.addEventListener("abort", () => clearInterval(timer));

  load();
  events.load();
  const element = el("div", { class: "tab-content" },
    el("div", { class: "section-head" },
      el("div", {}, heading, el("p", { class: "muted" }, kind.purpose)),
      addButton),
    list, events.element);
  return { element, stop: () => stopping.abort() };
}

function showLoading(list, kind) {
  list.setAttribute("aria-busy", "true");
  list.replaceChildren(el("div", { class: "panel skeleton" },
    el("p", { class: "visually-hidden" }, `Loading the ${kind.many}.`),
    Array.from({ length: 3 }, () => el("div", { class: "skeleton-row" }, el("span"), el("span"), el("span"), el("span")))));
}

function showError(list, kind, error, retry) {
  list.removeAttribute("aria-busy");
  list.replaceChildren(el("div", { class: "panel placeholder", role: "alert" },
    el("div", { class: "placeholder-icon is-danger" }, icon("warning")),
    el("h3", {}, `The ${kind.many} cannot be shown`),
    el("p", { class: "muted" }, error.message),
    error.requestId && el("p", { class: "muted small" }, "Request ", el("code", {}, error.requestId)),
    el("button", { class: "button", type: "button", onclick: retry }, "Try again")));
}

function showRecords(list, kind, records, { changed, add }) {
  list.removeAttribute("aria-busy");
  if (records.length === 0) {
    list.replaceChildren(el("div", { class: "panel placeholder" },
      el("div", { class: "placeholder-icon" }, icon(kind.icon)),
      el("h3", {}, `No ${kind.many} yet`),
      el("p", { class: "muted" }, kind.emptyText),
      el("button", { class: "button", type: "button", onclick: add }, `Add the first ${kind.short}`)));
    return;
  }
  const columns = ["Name", kind.bindsToDevice && "Device", "Created by", "Created", "Expires", "Last used", "Status"].filter(Boolean);
  // A table that is laid out as cards on a phone loses its meaning to some screen readers, unless its roles are spelt out.
  list.replaceChildren(el("div", { class: "panel" },
    el("table", { class: "table", role: "table" },
      el("caption", { class: "visually-hidden" }, `The organisation's ${kind.many}, newest first`),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
        columns.map((name) => el("th", { role: "columnheader", scope: "col" }, name)),
        el("th", { role: "columnheader", scope: "col" }, el("span", { class: "visually-hidden" }, "Actions")))),
      el("tbody", { role: "rowgroup" }, records.map((record) => row(kind, record, changed))))));
}

function row(kind, record, changed) {
  const over = record.status !== "active";
  const created = new Date(record.created_at_timestamp);
  return el("tr", { role: "row", class: over ? "is-over" : null },
    el("th", { role: "rowheader", scope: "row", class: "cell-name" },
      el("span", { class: "name" }, record.name), el("code", { class: "prefix" }, `${record.prefix}…`)),
    kind.bindsToDevice && cell("Device", record.device_id ? el("code", {}, record.device_id) : el("span", { class: "muted" }, "Any")),
    cell("Created by", el("span", { class: "wrap-anywhere" }, record.created_by_user_id)),
    cell("Created", time(created, date(created))),
    cell("Expires", expires(record)),
    cell("Last used", record.last_used_at_timestamp
      ? time(new Date(record.last_used_at_timestamp), relative(new Date(record.last_used_at_timestamp)))
      : el("span", { class: "muted" }, "Never")),
    cell("Status", status(record)),
    el("td", { role: "cell", class: "cell-actions" }, over ? null : [
      action(record, "rotate", "Rotate", "", () => openRotate(kind, record, changed)),
      action(record, "revoke", "Revoke", "is-danger", () => openRevoke(kind, record, changed)),
    ]));
}

function cell(label, ...children) {
  return el("td", { role: "cell", "data-label": label }, children);
}

function time(when, text) {
  return el("time", { datetime: when.toISOString(), title: moment(when) }, text);
}

function expires(record) {
  const when = new Date(record.expires_at_timestamp);
  const isSoon = record.status === "active" && when - Date.now() < soon;
  return [time(when, date(when)),
    record.status === "active" && el("span", { class: isSoon ? "under is-soon" : "under" }, relative(when))];
}

function status(record) {
  const text = { active: "Active", expired: "Expired", revoked: "Revoked" }[record.status] ?? record.status;
  const revokedBy = record.status === "revoked" && record.revoked_by_user_id;
  return [
    el("span", { class: `badge badge-${record.status}` }, text),
    revokedBy && el("span", { class: "under wrap-anywhere" }, "by ", record.revoked_by_user_id),
  ];
}

function action(record, name, text, className, onclick) {
  return el("button", {
    class: `button button-small button-quiet ${className}`, type: "button", "aria-label": `${text} ${record.name}`,
    "data-focus": `${name} ${record._id}`, onclick,
  }, text);
}

/**
 * keepFocus runs a change of the list and puts the focus back on the same button, or on the heading
 * when the button is gone, so that a keyboard's user is not thrown back to the top of the page.
 */
function keepFocus(list, heading, change) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  change();
  if (focused) (list.querySelector(`[data-focus="${CSS.escape(focused)}"]`) ?? heading).focus();
}
