// Lines for a shell, with a button that copies them.

import { copyText, el, icon } from "./dom.js";

/** snippet shows the lines. */
export function snippet(label, text) {
  const code = el("code", {}, text);
  const buttonLabel = el("span", {}, "Copy");
  const button = el("button", {
    class: "button button-small", type: "button", "aria-label": `Copy: ${label}`,
    onclick: async () => { buttonLabel.textContent = (await copyText(text, code)) ? "Copied" : "Selected"; },
  }, icon("copy"), buttonLabel);
  return el("div", { class: "snippet", role: "group", "aria-label": label }, el("div", { class: "snippet-bar" }, button), el("pre", { tabindex: "0" }, code));
}
