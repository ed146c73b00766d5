// Suggestions for a field in which somebody types what a session or its device is called.

import { call } from "../api.js";
import { el, uniqueId } from "../dom.js";

/** suggestions gives a field a list of them. ask(text) brings it up to date with what stands in the field. */
export function suggestions(input, { signal } = {}) {
  const list = el("datalist", { id: uniqueId("suggestions") });
  input.setAttribute("list", list.id);
  const ask = async (text) => {
    if (text === "") {
      list.replaceChildren();
      return;
    }
    try {
      const found = await call("GET", "/tracking/sessions/typeahead/v1", { query: { query: text, limit: 8 }, signal });
      if (text !== input.value.trim()) return;
      const values = new Set(found.flatMap(({ values: some }) => some));
      list.replaceChildren(...[...values].map((value) => el("option", { value })));
    } catch {
      // They are a convenience.
    }
  };
  return { list, ask };
}
