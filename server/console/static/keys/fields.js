// Fields of the dialogs about keys.

import { call } from "../api.js";
import { el, uniqueId } from "../dom.js";
import { invalidForm, setFieldError } from "../dialog.js";
import { suggestions } from "../sessions/suggest.js";

const typingMilliseconds = 200;

/** textField makes a labelled text field with a hint and an error line. */
export function textField({ label, field, hint, placeholder, autofocus = false, maxlength, mono = false, value }) {
  const id = uniqueId(field);
  const input = el("input", {
    class: `input ${mono ? "mono" : ""}`, id, name: field, type: "text", placeholder, value, autofocus, maxlength, autocomplete: "off", spellcheck: "false",
    "aria-describedby": `${id}-hint ${id}-error`,
  });
  const error = el("p", { class: "field-error", id: `${id}-error`, hidden: true });
  input.addEventListener("input", () => {
    error.hidden = true;
    input.removeAttribute("aria-invalid");
  });
  return {
    element: el("div", { class: "field" }, el("label", { for: id }, label), input, el("p", { class: "hint", id: `${id}-hint` }, hint), error),
    input,
    value: () => input.value.trim(),
    onInput: (listener) => input.addEventListener("input", listener),
    showError: (sentence) => setFieldError(input, error, sentence),
  };
}

/**
 * deviceField asks for the one device of a credential. find() returns its id, by its address and by its session's reference,
 * too, or says what is wrong and throws invalidForm.
 */
export function deviceField() {
  const field = textField({ label: ["Device ", el("span", { class: "optional" }, "(optional)")], field: "device_id", hint: "Its address, its session's reference, or its id. With it, the credential can write points for this device only.", mono: true });
  const { list, ask } = suggestions(field.input);
  let typing = 0;
  field.onInput(() => {
    clearTimeout(typing);
    typing = setTimeout(() => ask(field.value()), typingMilliseconds);
  });
  field.element.append(list);
  const find = async () => {
    const text = field.value();
    if (/^[0-9a-f]{24}$/.test(text)) return text;
    const called = (name) => name?.toLowerCase() === text.toLowerCase();
    const { items } = await call("GET", "/tracking/sessions/list/v1", { query: { search: text, org_scope: "owned", page_size: 1000 } });
    const found = new Set(items.filter((session) => called(session.device_mac_address) || called(session.off_chrt_reference_id)).map((session) => session.device_id));
    if (found.size === 1) return [...found][0];
    field.showError(found.size > 1 ? "Several devices are called so. Give the address or the id of one." : "No device of this organisation that has a session is called so. Give its address, its session's reference, or its id.");
    throw invalidForm;
  };
  return { ...field, find };
}

/** registersField asks whether devices that nobody knows may come with a credential, which one for a single device never brings. */
export function registersField(device) {
  const id = uniqueId("registers");
  const box = el("input", { type: "checkbox", id, name: "registers_devices", "aria-describedby": `${id}-hint` });
  device.onInput(() => { box.disabled = device.value() !== ""; });
  return {
    element: el("div", { class: "field" }, el("label", { class: "check" }, box, "Register devices that are not known yet"),
      el("p", { class: "hint", id: `${id}-hint` }, "For phones: the first position of a device that nobody knows registers it and begins its session.")),
    value: () => box.checked && !box.disabled,
  };
}
