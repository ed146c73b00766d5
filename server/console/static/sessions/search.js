// Finding a session by a part of its reference, its device's address or its comments.

import { el, uniqueId } from "../dom.js";
import { suggestions } from "./suggest.js";

const pause = 200; // after the last key, before the service is asked

/** searchField makes the field. changed(text) is called at every key; ask(text) when the service should be asked, too. */
export function searchField({ changed, ask, signal }) {
  const id = uniqueId("search");
  const input = el("input", {
    class: "input", id, type: "search", placeholder: "Reference, device or comment", autocomplete: "off", spellcheck: "false",
    "aria-label": "Search sessions", enterkeyhint: "search",
  });
  const { list, ask: suggest } = suggestions(input, { signal });
  let timer = 0;
  input.addEventListener("input", () => {
    const text = input.value.trim();
    changed(text);
    clearTimeout(timer);
    timer = setTimeout(() => {
      suggest(text);
      ask(text);
    }, pause);
  });
  signal.addEventListener("abort", () => clearTimeout(timer));
  return { element: el("div", { class: "search" }, input, list), input, text: () => input.value.trim() };
}
