// Who created, rotated and revoked what, and when.

import { call } from "../api.js";
import { avatar, el } from "../dom.js";
import { moment, relative } from "../format.js";

const pageSize = 10;

const verbs = { created: "created", rotated: "rotated", revoked: "revoked", updated: "changed" };

const changes = { name: "name", scopes: "scopes", allowed_ip_ranges: "addresses", requests_per_second: "rate" };

/** activity makes the list of events. load() shows the newest; the button at its end adds older ones. */
export function activity(kind, signal) {
  const items = el("ol", { class: "events" });
  const note = el("p", { class: "muted events-note" }, "Loading…");
  const moreButton = el("button", { class: "button button-small", type: "button", hidden: true, onclick: () => show(page + 1) }, "Show older");
  const shown = new Set();
  let page = 1;

  const show = async (wanted) => {
    moreButton.disabled = true;
    try {
      const answer = await call("GET", `${kind.path}/events/v1`, { query: { page: wanted, page_size: pageSize }, signal });
      page = wanted;
      if (page === 1) {
        items.replaceChildren();
        shown.clear();
      }
      const first = items.children.length;
      // What has happened since the first page was read moves older events on to the next page again.
      const fresh = answer.items.filter((event) => !shown.has(event._id));
      for (const event of fresh) shown.add(event._id);
      items.append(...fresh.map(item));
      note.textContent = answer.total_count === 0 ? "Nothing has happened yet." : "";
      note.hidden = answer.total_count > 0;
      moreButton.hidden = answer.items.length === 0 || items.children.length >= answer.total_count;
      if (wanted > 1) items.children[first]?.focus();
    } catch (error) {
      if (signal.aborted) return;
      note.hidden = false;
      note.replaceChildren(`The activity cannot be shown. ${error.message} `,
        el("button", { class: "button button-small", type: "button", onclick: () => show(wanted) }, "Try again"));
    } finally {
      moreButton.disabled = false;
    }
  };
  return {
    element: el("section", { class: "activity", "aria-label": `Activity of ${kind.many}` },
      el("h2", {}, "Activity"),
      el("div", { class: "panel panel-events" }, items, note, el("div", { class: "events-more" }, moreButton))),
    load: () => show(1),
  };
}

function item(event) {
  const when = new Date(event.at_timestamp);
  return el("li", { class: "event", tabindex: "-1" },
    avatar(event.user_id, "avatar-person"),
    el("p", { class: "wrap-anywhere" },
      el("strong", {}, event.user_id), ` ${verbs[event.action] ?? event.action} `, el("strong", {}, event.name), " ",
      el("code", { class: "muted" }, `${event.prefix}…`), event.changed && ` (${event.changed.map((field) => changes[field] ?? field).join(", ")})`),
    el("time", { class: "muted small", datetime: event.at_timestamp, title: moment(when) }, relative(when)));
}
