// Which of an organisation's keys are shown, and in which order: search, status, sorting and pages.

import { el, uniqueId } from "../dom.js";

/** pageSize is how many keys stand on a page. */
export const pageSize = 50;

const soon = 7 * 86_400_000;

const statuses = [
  ["", "All"], ["active", "Active"], ["soon", "Expiring within 7 days"], ["unused", "Never used"], ["expired", "Expired"], ["revoked", "Revoked"],
];

const time = (text) => (text ? Date.parse(text) : 0);
const names = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const sortings = [
  ["created", "Newest first", (a, b) => time(b.created_at_timestamp) - time(a.created_at_timestamp)],
  ["name", "By name", (a, b) => names.compare(a.name, b.name)],
  ["expires", "Expiring first", (a, b) => time(a.expires_at_timestamp) - time(b.expires_at_timestamp)],
  ["used", "Used last first", (a, b) => time(b.last_used_at_timestamp) - time(a.last_used_at_timestamp)],
];

/** select returns the records that match a choice, in its order: { current, over }, of which over have expired or were revoked. */
export function select(records, { text, status, sort }) {
  const wanted = text.toLowerCase();
  const matches = (record) => {
    if (wanted && !`${record.name}\n${record.prefix}\n${record.created_by_user_id}\n${record.device_id ?? ""}\n${record._id}`.toLowerCase().includes(wanted)) return false;
    if (status === "soon") return record.status === "active" && time(record.expires_at_timestamp) - Date.now() < soon;
    if (status === "unused") return record.status === "active" && !record.last_used_at_timestamp;
    return status === "" || record.status === status;
  };
  const compare = sortings.find(([name]) => name === sort)[2];
  const found = records.filter(matches).sort(compare);
  return { current: found.filter(({ status: its }) => its === "active"), over: found.filter(({ status: its }) => its !== "active") };
}

/** choiceBar makes the controls. changed() is called when choice() is another. */
export function choiceBar(kind, changed) {
  const search = el("input", { class: "input", type: "search", placeholder: `Name, ${kind.prefix}…, person`, "aria-label": `Search ${kind.many}`, autocomplete: "off", spellcheck: "false", oninput: changed });
  const choose = (label, options) => {
    const id = uniqueId("choice");
    return el("select", { class: "input", id, "aria-label": label, onchange: changed }, options.map(([value, text]) => el("option", { value }, text)));
  };
  const status = choose("Status", statuses);
  const sort = choose("Order", sortings);
  const found = el("p", { class: "visually-hidden", role: "status" });
  return {
    element: el("div", { class: "choice", role: "search" }, search, status, sort, found),
    choice: () => ({ text: search.value.trim(), status: status.value, sort: sort.value }),
    say: (sentence) => { if (found.textContent !== sentence) found.textContent = sentence; },
  };
}

/** pager makes the buttons to the pages of a list. turned(page) is called with the page, from 0. */
export function pager({ page, count, label, turned }) {
  const pages = Math.ceil(count / pageSize);
  if (pages <= 1) return null;
  const button = (text, to) => el("button", { class: "button button-small", type: "button", disabled: to < 0 || to >= pages, "data-focus": `${label} ${text}`, onclick: () => turned(to) }, text);
  return el("nav", { class: "pager", "aria-label": label }, button("Previous", page - 1),
    el("span", { class: "muted small" }, `${page * pageSize + 1} to ${Math.min(count, (page + 1) * pageSize)} of ${count}`), button("Next", page + 1));
}
