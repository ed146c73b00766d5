// What came with a device credential, as it comes.

import { call } from "../api.js";
import { el } from "../dom.js";
import { count, span } from "../sessions/words.js";

const every = 2000;
const spoken = 1000;

/** arrivalLine is a line that says what came with a credential, until signal aborts. arrived() is called at the first point. */
export function arrivalLine(kind, id, { signal, arrived = () => {} }) {
  const text = el("span", {}, "Waiting for the first point…");
  const line = el("p", { class: "arrival", role: "status" }, el("span", { class: "pulse", "aria-hidden": "true" }), text);
  let known = null;
  let askedAt = 0;
  let lost = false;
  const say = () => {
    if (!known && !lost) return;
    const [state, words] = lost ? ["", "What arrives cannot be told at the moment; it is asked again."] : sentence(known, Date.now());
    line.dataset.state = state;
    if (text.textContent !== words) text.textContent = words;
  };
  const look = async () => {
    if (document.visibilityState !== "visible" || Date.now() - askedAt < every - spoken / 2) return;
    askedAt = Date.now();
    try {
      const before = known?.points;
      known = await call("GET", `${kind.path}/arrivals/v1`, { query: { [kind.idParameter]: id }, signal });
      if (known.points > 0 && !before) arrived();
      lost = false;
    } catch {
      lost = true; // who is signed out is told so by the page
    }
  };
  const timer = setInterval(async () => {
    await look();
    if (!signal.aborted) say();
  }, spoken);
  signal.addEventListener("abort", () => clearInterval(timer));
  look();
  return line;
}

/** sentence says in words what came, and in one whether that is good. */
function sentence({ requests, points, first_point_received_at_timestamp: first, last_point_received_at_timestamp: last, rejected, last_rejected_at_timestamp: refused, last_rejection_detail: why }, now) {
  const ago = (when) => `${span(now - Date.parse(when))} ago`;
  if (rejected > 0 && (!last || Date.parse(refused) > Date.parse(last))) return ["bad", `A position came ${ago(refused)} and could not be taken: ${why}`];
  if (points === 1) return ["good", `First point received ${ago(first)}.`];
  if (points > 1) return ["good", `First point received ${ago(first)}; ${count(points, "point")} so far, the last ${ago(last)}.`];
  if (requests > 0) return ["", "The app has reached the service; it has sent no position yet."];
  return ["", "Waiting for the first point…"];
}
