// The list of sessions: the way for the keyboard and for screen readers, and for everybody to find one.

import { el } from "../dom.js";
import { stateOf, stateText } from "./states.js";
import { battery, count, span, speed } from "./words.js";

const chunk = 100;

/** sessionList makes the list. show(sessions, chosen) brings it up to date; href(session) is a row's address. */
export function sessionList({ href }) {
  const rows = new Map();
  const list = el("ul", { class: "session-list", "aria-label": "Sessions" });
  const more = el("button", { class: "button button-small", type: "button", onclick: () => showMore() });
  const foot = el("div", { class: "list-more", hidden: true }, more);
  let shown = chunk;
  let last = [[], ""];

  const show = (sessions, chosen) => {
    last = [sessions, chosen];
    const now = Date.now();
    const wanted = sessions.slice(0, shown);
    const chosenSession = chosen && !wanted.some(({ id }) => id === chosen) ? sessions.find(({ id }) => id === chosen) : null;
    if (chosenSession) wanted.push(chosenSession);
    const kept = new Set(wanted.map(({ id }) => id));
    for (const [id, row] of rows) {
      if (kept.has(id)) continue;
      row.element.remove();
      rows.delete(id);
    }
    let place = list.firstChild;
    for (const session of wanted) {
      if (!rows.has(session.id)) rows.set(session.id, makeRow(href(session)));
      const row = rows.get(session.id);
      row.update(session, now, session.id === chosen);
      if (row.element === place) place = place.nextSibling;
      else list.insertBefore(row.element, place);
    }
    const left = sessions.length - wanted.length;
    foot.hidden = left <= 0;
    more.textContent = `Show more (${count(left, "session")} left)`;
  };
  const showMore = () => {
    const before = list.children.length;
    shown += chunk;
    show(...last);
    list.children[before]?.querySelector("a").focus();
  };
  list.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1, PageDown: Math.min(links.length - 1, at + 10), PageUp: Math.max(0, at - 10) }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    links[to]?.focus();
  });
  /** reset begins at the top again, for another search. */
  const reset = () => { shown = chunk; };
  return { element: el("div", { class: "list-scroll" }, list, foot), show, reset, row: (id) => rows.get(id)?.element };
}

/** makeRow makes a row whose texts change in place, so that the focus and a reader's place stay. */
function makeRow(href) {
  const part = (className) => el("span", { class: className });
  const [name, sub, state, facts] = ["row-name", "row-sub", "state", "row-facts"].map(part);
  const link = el("a", { class: "session-row", href }, el("span", { class: "row-line" }, name, facts), el("span", { class: "row-line" }, sub, state));
  const said = {};
  const set = (key, element, text) => {
    if (said[key] === text) return;
    said[key] = text;
    element.textContent = text;
  };
  const update = (session, now, isChosen) => {
    const stateName = stateOf(session, now);
    set("name", name, session.label);
    set("sub", sub, [session.label === session.mac ? "" : session.mac, session.comments].filter(Boolean).join(" · "));
    set("facts", facts, [stateName === "moving" && speed(session.speed), session.battery !== undefined && battery(session.battery)].filter(Boolean).join(" · "));
    set("state", state, session.at ? `${stateText(stateName)}, ${span(now - session.at)} ago` : stateText(stateName));
    if (said.className !== stateName) {
      state.className = `state state-${stateName}`;
      said.className = stateName;
    }
    if (said.chosen !== isChosen) {
      if (isChosen) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      said.chosen = isChosen;
    }
  };
  return { element: el("li", {}, link), update };
}
