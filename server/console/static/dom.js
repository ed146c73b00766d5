// Building and announcing parts of the page. Text only ever enters as text nodes, so that a name with
// markup in it is shown and never run.

import { initials } from "./format.js";

/**
 * el makes an element. Attributes whose name starts with "on" are listeners; false, null and undefined
 * leave an attribute out; true writes it empty. Children are nodes, text, or nested arrays of these.
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const shapes = {
  plus: ["M8 3.2v9.6M3.2 8h9.6"],
  check: ["m3.5 8.6 3 3 6-7"],
  copy: ["M5.8 5.8h7v7h-7z", "M10.2 5.8v-2.6h-7v7h2.6"],
  settings: ["M2.5 4.8h7M13 4.8h.5M2.5 11.2h.5M6.5 11.2h7", "M11.2 3.2a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2Z", "M4.8 9.6a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2Z"],
  updown: ["m5.2 6.2 2.8-2.8 2.8 2.8M5.2 9.8l2.8 2.8 2.8-2.8"],
  rotate: ["M13 8a5 5 0 1 1-1.5-3.6", "M13.2 2.2v2.6h-2.6"],
  revoke: ["M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Z", "m4.2 4.2 7.6 7.6"],
  key: ["M10.3 2.5a3.2 3.2 0 1 0 0 6.4 3.2 3.2 0 0 0 0-6.4Z", "m8 8-5.2 5.2M4.6 11.4l1.6 1.6"],
  device: ["M3 6.5h10v6H3z", "M5.5 9.5h.1M8 9.5h3", "M8 6.5V4M5 3.3a4.3 4.3 0 0 1 6 0"],
  warning: ["M8 2.3 14.3 13H1.7z", "M8 6.5v3M8 11.3v.1"],
  info: ["M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2Z", "M8 7.4v3.4M8 5.2v.1"],
  play: ["M5 3.2v9.6L12.5 8z"],
  download: ["M8 2.5v7.2M4.8 6.8 8 10l3.2-3.2M3 13h10"],
  target: ["M8 3.4a4.6 4.6 0 1 0 0 9.2 4.6 4.6 0 0 0 0-9.2Z", "M8 1.6v3M8 11.4v3M1.6 8h3M11.4 8h3"],
  share: ["M6 9.6 10.6 12M10.6 4 6 6.4", "M4.4 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6ZM12 1.7a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6ZM12 10.7a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6Z"],
  fit: ["M2.8 6V2.8H6M10 2.8h3.2V6M13.2 10v3.2H10M6 13.2H2.8V10"],
  pin: ["M8 1.8a4.4 4.4 0 0 0-4.4 4.4c0 3.2 4.4 8 4.4 8s4.4-4.8 4.4-8A4.4 4.4 0 0 0 8 1.8Z", "M8 4.8v1.8l1.2.8"],
  close: ["m4 4 8 8M12 4l-8 8"],
};

/** icon draws one of the line icons. It is decoration: the text beside it or a label says the same. */
export function icon(name) {
  return svg("svg", {
    viewBox: "0 0 16 16", class: "icon", fill: "none", stroke: "currentColor", "stroke-width": "1.5",
    "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true", focusable: "false",
  }, ...shapes[name].map((d) => svg("path", { d })));
}

/** svg makes an element of a drawing. Attributes that are null are left out. */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * avatar stands for an organisation or a person by two letters. They are drawn by the style sheet:
 * decoration, and no part of what a button that holds it says.
 */
export function avatar(id, className = "") {
  return el("span", { class: `avatar ${className}`, "data-initials": initials(id), "aria-hidden": "true" });
}

let nextId = 0;

/** uniqueId returns an id that no other element of the page has. */
export function uniqueId(name) {
  nextId += 1;
  return `${name}-${nextId}`;
}

/** announce has a screen reader say a sentence, and shows it for a few seconds to everybody else. */
export function announce(sentence, { failed = false } = {}) {
  const announcer = document.getElementById("announcer");
  announcer.textContent = "";
  // A reader speaks only what changes, so the same sentence twice must be two changes.
  requestAnimationFrame(() => { announcer.textContent = sentence; });
  const toast = el("p", { class: failed ? "toast is-danger" : "toast" }, icon(failed ? "warning" : "check"), el("span", {}, sentence));
  document.getElementById("toasts").replaceChildren(toast);
  setTimeout(() => toast.remove(), 5000);
}

/**
 * copyText puts text on the clipboard. Browsers offer the clipboard only to pages from https and from
 * this machine; elsewhere the text of the given element is selected, to be copied with the keyboard,
 * and false is returned.
 */
export async function copyText(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const selection = getSelection();
    selection.removeAllRanges();
    const range = document.createRange();
    range.selectNodeContents(element);
    selection.addRange(range);
    return false;
  }
}
