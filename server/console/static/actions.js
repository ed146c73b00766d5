// Creating, rotating and revoking: the dialogs and the calls behind them.

import { ApiError, call } from "./api.js";
import { copyText, el, icon, uniqueId } from "./dom.js";
import { invalidForm, openDialog, openForm, setFieldError } from "./dialog.js";
import { expiryField } from "./expiry.js";

const longestName = 100;

/** openCreate asks for a name and an expiry, makes the key, and shows it. changed() is called once it exists. */
export function openCreate(kind, changed) {
  const name = textField({ label: "Name", field: "name", placeholder: kind.namePlaceholder, autofocus: true, maxlength: longestName,
    hint: `What uses the ${kind.short}, so that people know what stops when it is revoked.` });
  const device = kind.bindsToDevice
    ? textField({ label: ["Device id ", el("span", { class: "optional" }, "(optional)")], field: "device_id", hint: "With it, the credential can write points for this device only.", mono: true })
    : null;
  const expiry = expiryField();
  openForm({
    title: `Add new ${kind.short}`,
    content: [name.element, device?.element, expiry.element],
    confirm: `Add ${kind.short}`,
    submit: () => {
      const body = { name: name.value() };
      if (body.name === "") {
        name.showError("Give it a name.");
        throw invalidForm;
      }
      if (device?.value()) body.device_id = device.value();
      body.expires_at_timestamp = expiry.read();
      return call("POST", `${kind.path}/create/v1`, { body });
    },
    showFieldError: (error) => showFieldErrors(error, { name, device_id: device, expires_at_timestamp: expiry }),
    done: (created) => {
      changed();
      openSecret(kind, created, `Your new ${kind.short}`);
    },
  });
}

const graces = [
  ["0", "At once"], ["3600", "After one hour"], ["86400", "After one day"], ["259200", "After three days"], ["604800", "After seven days"],
];

/** openRotate asks for the grace period and the new expiry, makes the new key from the old, and shows it. */
export function openRotate(kind, record, changed) {
  const graceId = uniqueId("grace");
  const grace = el("select", { class: "input", id: graceId, autofocus: true, "aria-describedby": `${graceId}-hint` },
    graces.map(([value, text]) => el("option", { value, selected: value === "86400" }, text)));
  const expiry = expiryField({ label: `New ${kind.short} expires` });
  openForm({
    title: `Rotate “${record.name}”`,
    content: [
      el("p", {}, `This makes a new ${kind.short} with the same name. Both work until the old one, `, prefixCode(record), ", ends."),
      el("div", { class: "field" }, el("label", { for: graceId }, `Old ${kind.short} ends`), grace,
        el("p", { class: "hint", id: `${graceId}-hint` }, "The time that you have to put the new one in place.")),
      expiry.element,
    ],
    confirm: `Rotate ${kind.short}`,
    submit: () => call("POST", `${kind.path}/rotate/v1`, {
      query: { [kind.idParameter]: record._id },
      body: { grace_seconds: Number(grace.value), expires_at_timestamp: expiry.read() },
    }),
    showFieldError: (error) => showFieldErrors(error, { expires_at_timestamp: expiry }),
    done: (created) => {
      changed();
      openSecret(kind, created, `Your new ${kind.short}`);
    },
  });
}

/** openRevoke asks whether the named key shall be revoked, and revokes it. */
export function openRevoke(kind, record, changed) {
  openForm({
    role: "alertdialog",
    title: `Revoke “${record.name}”?`,
    content: [
      el("p", {}, `Whatever uses the ${kind.short} `, prefixCode(record), " stops working at once."),
      el("p", {}, "This cannot be undone."),
    ],
    confirm: `Revoke ${kind.short}`,
    danger: true,
    focusCancel: true,
    submit: () => call("POST", `${kind.path}/revoke/v1`, { query: { [kind.idParameter]: record._id } }),
    done: () => changed(`“${record.name}” has been revoked.`),
  });
}

/**
 * openSecret shows a key this once. The text is nowhere but in the dialog and in this function's
 * variables: not in the address, the history, a form field or any storage; closing the dialog or
 * leaving the page takes it out.
 */
function openSecret(kind, created, title) {
  let copied = false;
  let warned = false;
  const secret = el("code", { class: "secret-text", tabindex: "0", "aria-label": `The ${kind.short}` }, created.key);
  const copyLabel = el("span", {}, "Copy");
  const result = el("p", { class: "hint", role: "status" });
  const leaveWarning = el("p", { class: "field-error", role: "alert" });
  const copyButton = el("button", {
    class: "button button-primary", type: "button", autofocus: true,
    onclick: async () => {
      if (await copyText(created.key, secret)) {
        copied = true;
        copyLabel.textContent = "Copied";
        result.textContent = "It is on your clipboard.";
        leaveWarning.textContent = "";
      } else {
        result.textContent = "The browser does not let this page use the clipboard. The text is selected: press Ctrl+C or ⌘C.";
      }
    },
  }, icon("copy"), copyLabel);
  const content = el("div", { class: "dialog-form" },
    el("div", { class: "dialog-body" },
      el("div", { class: "notice notice-warning" }, icon("warning"),
        el("p", {}, el("strong", {}, `Copy this ${kind.short} now. It cannot be seen again.`),
          ` Only a fingerprint of it is stored. If it is lost, rotate or revoke it.`)),
      el("p", { class: "secret-name" }, created.name),
      el("div", { class: "secret" }, secret, copyButton),
      el("p", { class: "hint" }, kind.secretUse, " ", el("code", {}, kind.secretHeader)),
      result, leaveWarning),
    el("div", { class: "dialog-buttons" },
      el("button", { class: "button", type: "button", onclick: () => handle.close() }, "Done")));
  const handle = openDialog({
    title, content,
    // Escape is easily pressed by mistake, and the key would be gone: it has to be pressed twice.
    mayClose: () => {
      if (copied || warned) return true;
      warned = true;
      leaveWarning.textContent = "You have not copied it yet. Press Escape again to close all the same.";
      return false;
    },
    onClose: () => secret.replaceChildren(),
  });
}

function prefixCode(record) {
  return el("code", {}, `${record.prefix}…`);
}

/** textField makes a labelled text field with a hint and an error line. */
function textField({ label, field, hint, placeholder, autofocus = false, maxlength, mono = false }) {
  const id = uniqueId(field);
  const input = el("input", {
    class: `input ${mono ? "mono" : ""}`, id, name: field, type: "text", placeholder, autofocus, maxlength, autocomplete: "off", spellcheck: "false",
    "aria-describedby": `${id}-hint ${id}-error`,
  });
  const error = el("p", { class: "field-error", id: `${id}-error`, hidden: true });
  input.addEventListener("input", () => {
    error.hidden = true;
    input.removeAttribute("aria-invalid");
  });
  return {
    element: el("div", { class: "field" }, el("label", { for: id }, label), input, el("p", { class: "hint", id: `${id}-hint` }, hint), error),
    value: () => input.value.trim(),
    showError: (sentence) => setFieldError(input, error, sentence),
  };
}

/** showFieldErrors shows each sentence beside the field that it is about. It returns whether there was one. */
function showFieldErrors(error, fields) {
  if (!(error instanceof ApiError)) return false;
  let shown = false;
  for (const [name, field] of Object.entries(fields)) {
    const sentence = error.fieldMessage(name);
    if (field && sentence) {
      field.showError(sentence);
      shown = true;
    }
  }
  return shown;
}
