// The table of keys, which on a narrow page is a list of cards.

import { el } from "../dom.js";
import { date, moment, relative } from "../format.js";
import { openEdit, openRevoke, openRotate } from "./actions.js";
import { limitWords } from "./limits.js";
import { openSetup } from "./setup.js";
import { usageCell } from "./usage.js";

const soon = 7 * 86_400_000;

/**
 * table makes the table of some records. pairOf(id) tells what is known of a rotation, usageOf(id) what the key is used for;
 * changed is called after a change.
 */
export function table(kind, records, { caption, pairOf, usageOf, changed }) {
  const columns = ["Name", kind.bindsToDevice && "Device", "Created", "Expires", "Last used", kind.hasLimits && "Requests", "Status"].filter(Boolean);
  // A table that is laid out as cards on a phone loses its meaning to some screen readers, unless its roles are spelt out.
  return el("table", { class: "table", role: "table" },
    el("caption", { class: "visually-hidden" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
      columns.map((name) => el("th", { role: "columnheader", scope: "col" }, name)),
      el("th", { role: "columnheader", scope: "col" }, el("span", { class: "visually-hidden" }, "Actions")))),
    el("tbody", { role: "rowgroup" }, records.map((record) => row(kind, record, { pair: pairOf(record._id), usage: usageOf(record._id), changed }))));
}

function row(kind, record, { pair, usage, changed }) {
  const over = record.status !== "active";
  const created = new Date(record.created_at_timestamp);
  return el("tr", { role: "row", class: over ? "is-over" : null },
    el("th", { role: "rowheader", scope: "row", class: "cell-name" },
      el("span", { class: "name" }, record.name), el("code", { class: "prefix" }, `${record.prefix}…`),
      limitWords(record) && el("span", { class: "under" }, limitWords(record))),
    kind.bindsToDevice && cell("Device", record.device_id ? el("code", { class: "wrap-anywhere" }, record.device_id) : el("span", { class: "muted" }, "Any"),
      record.registers_devices && el("span", { class: "under" }, "registers new ones")),
    cell("Created", time(created, date(created)), el("span", { class: "under wrap-anywhere" }, "by ", record.created_by_user_id)),
    cell("Expires", expires(record)),
    cell("Last used", record.last_used_at_timestamp
      ? time(new Date(record.last_used_at_timestamp), relative(new Date(record.last_used_at_timestamp)))
      : el("span", { class: "muted" }, "Never")),
    kind.hasLimits && cell("Requests", usageCell(record._id, usage)),
    cell("Status", status(record, pair)),
    el("td", { role: "cell", class: "cell-actions" }, over ? null : [
      kind.bindsToDevice && action(record, "set-up", "Set up", "", () => openSetup(kind, record)),
      kind.hasLimits && action(record, "edit", "Edit", "", () => openEdit(kind, record, changed)),
      pair?.role !== "old" && action(record, "rotate", "Rotate", "", () => openRotate(kind, record, changed)),
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

function status(record, pair) {
  const replaced = pair?.role === "old" && record.status === "active";
  const text = replaced ? "Being replaced" : { active: "Active", expired: "Expired", revoked: "Revoked" }[record.status] ?? record.status;
  const other = pair && el("code", {}, `${pair.other.prefix}…`);
  return [
    el("span", { class: `badge badge-${replaced ? "ending" : record.status}` }, text),
    pair?.role === "old" && el("span", { class: "under" }, "old; the new one is ", other),
    pair?.role === "new" && el("span", { class: "under" }, "new; the old one, ", other, `, ends ${relative(new Date(pair.other.expires_at_timestamp))}`),
    record.status === "revoked" && record.revoked_by_user_id && el("span", { class: "under wrap-anywhere" }, "by ", record.revoked_by_user_id),
  ];
}

function action(record, name, text, className, onclick) {
  return el("button", {
    class: `button button-small button-quiet ${className}`, type: "button", "aria-label": `${text} ${record.name}`,
    "data-focus": `${name} ${record._id}`, onclick,
  }, text);
}
