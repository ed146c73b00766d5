// Which part of a session's past is shown: the last hours, or from one moment to another.

import { el, uniqueId } from "../dom.js";

const hour = 3_600_000;

/** lasts are the ranges that end now, or with the newest position of a session that is silent. */
const lasts = [["1h", "Last hour", hour], ["6h", "Last 6 hours", 6 * hour], ["24h", "Last 24 hours", 24 * hour], ["7d", "Last 7 days", 168 * hour], ["30d", "Last 30 days", 720 * hour]];
const usual = "6h";

/** readRange reads the range out of the address's parameters. */
export function readRange(parameters) {
  const from = Date.parse(parameters.get("from") ?? "");
  const to = Date.parse(parameters.get("to") ?? "");
  if (from < to) return { from, to };
  const last = parameters.get("last");
  return { last: lasts.some(([name]) => name === last) ? last : usual };
}

/** writeRange is the reverse: what stands behind the question mark, empty for the usual range. */
export function writeRange(range) {
  if (range.last) return range.last === usual ? "" : `?last=${range.last}`;
  return `?from=${iso(range.from)}&to=${iso(range.to)}`;
}

function iso(milliseconds) {
  return new Date(milliseconds).toISOString().replace(".000Z", "Z");
}

/** bounds says from when to when a range goes, for a session that was last seen at a moment. */
export function bounds(range, lastSeen) {
  if (!range.last) return range;
  const length = lasts.find(([name]) => name === range.last)[2];
  const now = Date.now();
  const isOld = lastSeen && now - lastSeen > length / 2;
  const to = isOld ? lastSeen + 1000 : now + 60_000;
  return { from: to - length, to };
}

/** rangeField makes the control. changed(range) is called when another is chosen. */
export function rangeField(range, current, changed) {
  const select = el("select", { class: "input input-small", id: uniqueId("range"), "aria-label": "Range" },
    lasts.map(([name, text]) => el("option", { value: name, selected: range.last === name }, text)),
    el("option", { value: "own", selected: !range.last }, "From … to …"));
  const shown = current();
  const from = moment("From", shown.from);
  const to = moment("To", shown.to);
  const complaint = el("p", { class: "field-error", role: "alert", hidden: true });
  const apply = el("button", { class: "button button-small", type: "submit" }, "Show");
  const own = el("form", {
    class: "range-own", hidden: Boolean(range.last),
    onsubmit: (event) => {
      event.preventDefault();
      const chosen = { from: Date.parse(from.value), to: Date.parse(to.value) };
      complaint.hidden = chosen.from < chosen.to;
      complaint.textContent = "Choose a beginning that lies before the end.";
      if (complaint.hidden) changed(chosen);
    },
  }, from, to, apply, complaint);
  select.addEventListener("change", () => {
    own.hidden = select.value !== "own";
    if (own.hidden) changed({ last: select.value });
    else from.focus();
  });
  return el("div", { class: "range" }, select, own);
}

function moment(label, when) {
  const local = new Date(when - new Date(when).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  return el("input", { class: "input input-small", type: "datetime-local", "aria-label": label, value: local, required: true });
}
