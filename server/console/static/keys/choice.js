// Which of an organisation's keys are shown, and in which order: search, status, sorting and pages.

import { el, uniqueId } from "../dom.js";

/** pageSize is how many keys stand on a page. */
export const pageSize = 50;

const statuses = [
  ["", "All"], ["active", "Active"], ["expiring", "Expiring within 7 days"], ["unused", "Never used"], ["expired", "Expired"], ["revoked", "Revoked"],
];
const sortings = [
  ["created_at_timestamp", "Newest first"], ["name", "By name"], ["expires_at_timestamp", "Expiring first"], ["last_used_at_timestamp", "Used last first"],
];
const typingMilliseconds = 250;

/** parts says which of the two parts of the list a status asks for, and as what: those that are good, and those that are over. */
export function parts(status) {
  if (["expired", "revoked"].includes(status)) return { over: status };
  return status === "" ? { current: "active", over: "ended" } : { current: status };
}

/** choiceBar makes the controls. changed() is called when choice() is another. */
export function choiceBar(kind, changed) {
  let typing;
  const search = el("input", { class: "input", type: "search", placeholder: `Name, ${kind.prefix}…, person`, "aria-label": `Search ${kind.many}`, autocomplete: "off", spellcheck: "false", oninput: () => {
    clearTimeout(typing);
    typing = setTimeout(changed, typingMilliseconds);
  } });
  const choose = (label, options) => {
    const id = uniqueId("choice");
    return el("select", { class: "input", id, "aria-label": label, onchange: changed }, options.map(([value, text]) => el("option", { value }, text)));
  };
  const status = choose("Status", statuses);
  const sort = choose("Order", sortings);
  const found = el("p", { class: "visually-hidden", role: "status" });
  return {
    element: el("div", { class: "choice", role: "search" }, search, status, sort, found),
    choice: () => ({ text: searchable(search.value.trim()), status: status.value, sort: sort.value }),
    say: (sentence) => { if (found.textContent !== sentence) found.textContent = sentence; },
  };
}

/** searchable keeps a key that was pasted whole out of the address: its first characters find it. */
function searchable(text) {
  return /^[ad]k_\w{6,}$/.test(text) ? text.slice(0, 8) : text;
}

/** pager makes the buttons to the pages of a list. turned(page) is called with the page, from 0. */
export function pager({ page, count, hasNext, label, turned }) {
  if (page === 0 && !hasNext) return null;
  const button = (text, to, possible) => el("button", { class: "button button-small", type: "button", disabled: !possible, "data-focus": `${label} ${text}`, onclick: () => turned(to) }, text);
  return el("nav", { class: "pager", "aria-label": label }, button("Previous", page - 1, page > 0),
    el("span", { class: "muted small" }, `${page * pageSize + 1} to ${Math.min(count, (page + 1) * pageSize)} of ${count}`), button("Next", page + 1, hasNext));
}
