// Finding a session by a part of its reference, its device's address or its comments.

import { call } from "../api.js";
import { el, uniqueId } from "../dom.js";

const pause = 200; // after the last key, before the service is asked

/** searchField makes the field. changed(text) is called at every key; ask(text) when the service should be asked, too. */
export function searchField({ changed, ask, signal }) {
  const id = uniqueId("search");
  const suggestions = el("datalist", { id: `${id}-suggestions` });
  const input = el("input", {
    class: "input", id, type: "search", placeholder: "Reference, device or comment", autocomplete: "off", spellcheck: "false",
    list: suggestions.id, "aria-label": "Search sessions", enterkeyhint: "search",
  });
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
  const suggest = async (text) => {
    if (text === "") {
      suggestions.replaceChildren();
      return;
    }
    try {
      const found = await call("GET", "/tracking/sessions/typeahead/v1", { query: { query: text, limit: 8 }, signal });
      if (text !== input.value.trim()) return;
      const values = new Set(found.flatMap(({ values: some }) => some));
      suggestions.replaceChildren(...[...values].map((value) => el("option", { value })));
    } catch {
      // Suggestions are a convenience: the list below says what there is.
    }
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  return { element: el("div", { class: "search" }, input, suggestions), input, text: () => input.value.trim() };
}
