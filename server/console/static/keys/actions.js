// Creating, editing, rotating and revoking: the dialogs and the calls behind them.

import { ApiError, call } from "../api.js";
import { el, uniqueId } from "../dom.js";
import { invalidForm, openForm } from "../dialog.js";
import { expiryField } from "./expiry.js";
import { deviceField, registersField, textField } from "./fields.js";
import { limitFields } from "./limits.js";
import { openSecret } from "./secret.js";
import { usageBars, usageOf, usageSentence } from "./usage.js";

const longestName = 100;

/** openCreate asks for a name and an expiry, makes the key, and shows it. changed() is called once it exists. */
export function openCreate(kind, changed) {
  const name = textField({ label: "Name", field: "name", placeholder: kind.namePlaceholder, autofocus: true, maxlength: longestName,
    hint: `What uses the ${kind.short}, so that people know what stops when it is revoked.` });
  const device = kind.bindsToDevice ? deviceField() : null;
  const registers = kind.bindsToDevice ? registersField(device) : null;
  const expiry = expiryField();
  const limits = kind.hasLimits ? limitFields() : null;
  let idempotencyKey = newIdempotencyKey();
  const create = (body) => call("POST", `${kind.path}/create/v1`, { body, headers: { "Idempotency-Key": idempotencyKey } });
  openForm({
    title: `Add new ${kind.short}`,
    content: [name.element, device?.element, registers?.element, expiry.element, limits?.element].filter(Boolean),
    confirm: `Add ${kind.short}`,
    submit: async () => {
      const body = { name: name.value() };
      if (body.name === "") {
        name.showError("Give it a name.");
        throw invalidForm;
      }
      if (device?.value()) body.device_id = await device.find();
      if (registers?.value()) body.registers_devices = true;
      body.expires_at_timestamp = expiry.read();
      Object.assign(body, limits?.read());
      try {
        return await create(body);
      } catch (error) {
        if (error.status !== 409 || !error.problem._id) throw error;
        // An attempt whose answer was lost has made one. Nobody has its text, so another takes its place.
        await call("POST", `${kind.path}/revoke/v1`, { query: { [kind.idParameter]: error.problem._id } });
        idempotencyKey = newIdempotencyKey();
        return create(body);
      }
    },
    explain: (error) => afterFailure(error, kind, changed, "created"),
    showFieldError: (error) => showFieldErrors(error, { name, device_id: device, expires_at_timestamp: expiry, ...limits?.fields }),
    done: (created) => {
      changed();
      openSecret(kind, created, `Your new ${kind.short}`);
    },
  });
}

/** openEdit asks for another name and for narrower limits. */
export function openEdit(kind, record, changed) {
  const name = textField({ label: "Name", field: "name", autofocus: true, maxlength: longestName, value: record.name,
    hint: `The ${kind.short} stays the same: whatever uses it goes on.` });
  const limits = limitFields(record);
  openForm({
    title: `Edit “${record.name}”`,
    content: [el("p", {}, "Its rights can be narrowed, and not be widened again. A change holds at once."), name.element, limits.element],
    confirm: "Save",
    submit: async () => {
      const body = limits.read();
      if (name.value() !== record.name) body.name = name.value();
      if (Object.keys(body).length === 0) return record;
      return call("POST", `${kind.path}/update/v1`, { query: { [kind.idParameter]: record._id }, body });
    },
    explain: (error) => afterFailure(error, kind, changed, "changed"),
    showFieldError: (error) => showFieldErrors(error, { name, ...limits.fields }),
    done: (updated) => changed(updated === record ? undefined : `“${updated.name}” has been changed.`),
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
    explain: (error) => afterFailure(error, kind, changed),
    showFieldError: (error) => showFieldErrors(error, { expires_at_timestamp: expiry }),
    done: (created) => {
      changed();
      openSecret(kind, created, `Your new ${kind.short}`);
    },
  });
}

/** openRevoke asks whether the named key shall be revoked, says what it is used for, and revokes it. */
export function openRevoke(kind, record, changed) {
  const used = el("div", { class: "usage-wide", role: "status" });
  if (kind.hasLimits) {
    used.textContent = "Looking up what it is used for…";
    usageOf(kind, [record._id]).then((usage) => {
      const its = usage.get(record._id);
      used.replaceChildren(usageBars(its), el("p", { class: "hint" }, usageSentence(its)));
    }, () => { used.textContent = "What it is used for cannot be shown now."; });
  }
  openForm({
    role: "alertdialog",
    title: `Revoke “${record.name}”?`,
    content: [
      el("p", {}, `Whatever uses the ${kind.short} `, prefixCode(record), " stops working at once."),
      kind.hasLimits && used,
      el("p", {}, "This cannot be undone."),
    ].filter(Boolean),
    confirm: `Revoke ${kind.short}`,
    danger: true,
    focusCancel: true,
    submit: () => call("POST", `${kind.path}/revoke/v1`, { query: { [kind.idParameter]: record._id } }),
    explain: (error) => afterFailure(error, kind, changed, "revoked"),
    done: () => changed(`“${record.name}” has been revoked.`),
  });
}

/** newIdempotencyKey names one creation, so that to send it again makes no second key. */
function newIdempotencyKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * afterFailure brings the list up to date when it may no longer be true, and says what may have
 * happened when nobody knows: without an answer the key may have been made, or revoked, all the same.
 */
function afterFailure(error, kind, changed, done = "made") {
  if (![404, 409].includes(error.status) && !(error.status === 0 && error.problem.timedOut) && error.status < 500) return null;
  changed();
  if (error.status === 404) return `${error.message} The list is up to date again.`;
  if (error.status === 409) return error.message;
  if (done === "changed") return `${error.message} It may have been changed all the same: the list below shows it.`;
  if (done === "revoked") return `${error.message} It may have been revoked all the same: the list below shows it.`;
  if (done === "created") return `${error.message} The ${kind.short} may have been made all the same. Press “Add ${kind.short}” again: what was made, whose text nobody has, is then revoked, and a new one takes its place.`;
  return `${error.message} The ${kind.short} may have been made all the same. Look at the list below: if there is one that you have no text of, revoke it.`;
}

function prefixCode(record) {
  return el("code", {}, `${record.prefix}…`);
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
