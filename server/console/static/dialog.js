// Dialogs: the native element, with a form, an error line and a busy state.

import { ApiError } from "./api.js";
import { el, icon, uniqueId } from "./dom.js";

/**
 * openDialog shows a modal dialog until close() is called on what it returns. It is taken out of the
 * page when it closes, with everything it holds. Escape asks mayClose() first, and so often as it is
 * pressed. keepSignedOut() says whether it stays when the session ends.
 */
export function openDialog({ title, content, className = "", role, mayClose = () => true, onClose = () => {}, keepSignedOut = () => false }) {
  const titleId = uniqueId("dialog-title");
  const dialog = el("dialog", { class: `dialog ${className}`, "aria-labelledby": titleId, role },
    el("h2", { id: titleId, class: "dialog-title" }, title), content);
  const close = () => dialog.close();
  dialog.addEventListener("cancel", (event) => { if (!mayClose()) event.preventDefault(); });
  // A browser closes a dialog at the second Escape whatever the page says, unless the key goes no further.
  // The page listens, since the focus is nowhere while the button that had it is disabled.
  const escaped = (event) => {
    if (event.key !== "Escape" || [...document.querySelectorAll("dialog[open]")].at(-1) !== dialog) return;
    event.preventDefault();
    if (mayClose()) close();
  };
  document.addEventListener("keydown", escaped);
  dialog.keepSignedOut = keepSignedOut;
  const opener = document.activeElement;
  dialog.addEventListener("close", () => {
    document.removeEventListener("keydown", escaped);
    removeEventListener("hashchange", close);
    removeEventListener("pagehide", close);
    dialog.remove();
    // Where the list has been drawn anew meanwhile, the button that opened the dialog is another one.
    const name = opener?.dataset?.focus;
    if (name && !opener.isConnected) document.querySelector(`[data-focus="${CSS.escape(name)}"]`)?.focus();
    onClose();
  });
  // A dialog belongs to the view it was opened from: it does not outlive it, nor is it there again
  // when the browser brings the page back from its back/forward cache.
  addEventListener("hashchange", close);
  addEventListener("pagehide", close);
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, close };
}

/** closeSignedOut closes the dialogs that belong to a session that has ended. */
export function closeSignedOut() {
  for (const dialog of document.querySelectorAll("dialog[open]")) if (!dialog.keepSignedOut()) dialog.close();
}

/**
 * openForm shows a dialog with a form. submit() does the work and may throw an ApiError, whose
 * sentence is then shown: beside the field it is about where showFieldError(error) returns true, else
 * above the buttons, in the words of explain(error) where it has any. When submit() has returned, the dialog is closed and then done(result) is called.
 */
export function openForm({ title, content, confirm, danger = false, focusCancel = false, submit, showFieldError = () => false, explain = () => null, done, role }) {
  let busy = false;
  const errorLine = el("p", { class: "notice notice-danger", role: "alert", hidden: true });
  const confirmButton = el("button", { class: `button ${danger ? "button-danger" : "button-primary"}`, type: "submit" }, confirm);
  const cancelButton = el("button", { class: "button", type: "button", autofocus: focusCancel, onclick: () => { if (!busy) handle.close(); } }, "Cancel");
  const setBusy = (value) => {
    busy = value;
    confirmButton.disabled = value;
    cancelButton.disabled = value;
    confirmButton.setAttribute("aria-busy", String(value));
  };
  const send = async (event) => {
    event.preventDefault();
    if (busy) return;
    errorLine.hidden = true;
    setBusy(true);
    let result;
    try {
      result = await submit();
    } catch (error) {
      setBusy(false);
      if (error === invalidForm || showFieldError(error)) return;
      errorLine.replaceChildren(icon("warning"), el("span", {}, (error instanceof ApiError && explain(error)) || messageOf(error)));
      errorLine.hidden = false;
      confirmButton.focus();
      return;
    }
    setBusy(false);
    handle.close();
    done(result);
  };
  const form = el("form", { novalidate: true, class: "dialog-form", onsubmit: send },
    el("div", { class: "dialog-body" }, content, errorLine),
    el("div", { class: "dialog-buttons" }, cancelButton, confirmButton));
  const handle = openDialog({ title, content: form, role, mayClose: () => !busy });
  return handle;
}

/** invalidForm is thrown by a submit() that has already said beside a field what is wrong with it. */
export const invalidForm = new Error("the form is not filled in");

function messageOf(error) {
  if (error instanceof ApiError) return error.message;
  console.error(error);
  return "Something went wrong in this page. Reload it and try again.";
}

/** setFieldError shows a sentence below a field, or takes it away when there is none. */
export function setFieldError(input, errorElement, sentence) {
  errorElement.textContent = sentence ?? "";
  errorElement.hidden = !sentence;
  if (sentence) {
    input.setAttribute("aria-invalid", "true");
    input.focus();
  } else {
    input.removeAttribute("aria-invalid");
  }
}
