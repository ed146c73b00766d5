// Setting an app up: which it is, what to type, its QR code where it reads one, and whether its points come.

import { copyText, el, icon, uniqueId } from "../dom.js";
import { openDialog } from "../dialog.js";
import { apps, exampleKey } from "./apps.js";
import { arrivalLine } from "./arrivals.js";
import { qrCode } from "./qr.js";

/**
 * setupSection makes it for a device credential. key is its text, while that is known. taken() is called when somebody
 * has the text elsewhere: it was copied, or points come with it. It ends with signal.
 */
export function setupSection(kind, record, { key, signal, taken = () => {} }) {
  const ids = { app: uniqueId("app"), name: uniqueId("device-name") };
  const select = el("select", { class: "input", id: ids.app, onchange: () => show() }, apps.map(({ id, title }) => el("option", { value: id }, title)));
  const name = el("input", { class: "input", id: ids.name, value: "phone-1", maxlength: "64", autocomplete: "off", spellcheck: "false", "aria-describedby": `${ids.name}-hint`, oninput: () => show() });
  const nameField = el("div", { class: "field" }, el("label", { for: ids.name }, "What the app calls the device"), name,
    el("p", { class: "hint", id: `${ids.name}-hint` }, record.registers_devices
      ? "A name that nobody has yet is registered with the first position."
      : "The device must be registered under this name, and have an active session."));
  const card = el("div", { class: "app-card" });
  let drawn = 0;
  const show = async () => {
    drawn += 1;
    const turn = drawn;
    const app = apps.find(({ id }) => id === select.value);
    const told = { key: key ?? exampleKey, name: name.value.trim() || "phone-1" };
    nameField.hidden = Boolean(record.device_id) || Boolean(app.named);
    const fields = el("dl", { class: "app-fields" }, app.fields(told).map(([label, value]) => field(label, value, { key, taken })));
    const place = el("div", { class: "app-code", hidden: true });
    card.replaceChildren(el("p", { class: "hint" }, app.where, "."), place, fields);
    if (!key || !app.link) return;
    const code = await qrCode(app.link(told), `QR code that sets ${app.title} up`);
    if (turn !== drawn || signal.aborted) return;
    place.replaceChildren(code, el("p", { class: "hint" }, app.scan, " It holds the credential: whoever photographs it has it."));
    place.hidden = false;
  };
  signal.addEventListener("abort", () => card.replaceChildren()); // what was shown once goes
  show();
  return el("section", { class: "setup", "aria-label": "Set an app up" },
    el("div", { class: "field" }, el("label", { for: ids.app }, "Set up"), select), reach(), nameField,
    arrivalLine(kind, record._id, { signal, arrived: taken }), card);
}

/** openSetup shows it in a dialog of its own, for a credential whose text is not known any more. */
export function openSetup(kind, record) {
  const closing = new AbortController();
  const content = el("div", { class: "dialog-form" },
    el("div", { class: "dialog-body" },
      el("p", {}, "In place of ", el("code", {}, exampleKey), " stands the credential ", el("code", {}, `${record.prefix}…`), ", which was shown when it was made. If nobody has it any more, rotate it: the new one comes with QR codes."),
      setupSection(kind, record, { signal: closing.signal })),
    el("div", { class: "dialog-buttons" }, el("button", { class: "button", type: "button", onclick: () => handle.close() }, "Done")));
  const handle = openDialog({ title: `Set up “${record.name}”`, content, className: "dialog-wide", onClose: () => closing.abort() });
}

/** reach warns where a phone could not do what this page says. */
function reach() {
  const words = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)
    ? `A phone does not reach ${location.host}: open this page by the address that phones reach the service by, and the addresses below will be right.`
    : location.protocol === "http:" && "This page is not open over TLS: what phones send, the credential too, can be read on the way.";
  return words && el("p", { class: "notice notice-warning" }, icon("warning"), el("span", {}, words));
}

/** field is a line to type, with a button that copies it, unless the credential in it is not known. */
function field(label, value, { key, taken }) {
  const code = el("code", { class: "wrap-anywhere" }, value);
  const words = el("span", {}, "Copy");
  const copy = async () => {
    const copied = await copyText(value, code);
    words.textContent = copied ? "Copied" : "Selected";
    if (copied && key && value.includes(key)) taken();
  };
  return el("div", {}, el("dt", {}, label), el("dd", {}, code,
    (key || !value.includes(exampleKey)) && el("button", { class: "button button-small button-quiet", type: "button", "aria-label": `Copy: ${label}`, onclick: copy }, icon("copy"), words)));
}
