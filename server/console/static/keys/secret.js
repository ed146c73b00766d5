// Showing a new key, this once.

import { copyText, el, icon } from "../dom.js";
import { openDialog } from "../dialog.js";
import { setupSection } from "./setup.js";

/**
 * openSecret shows a key this once. The text is nowhere but in the dialog and in this function's
 * variables: not in the address, the history, a form field or any storage; closing the dialog or
 * leaving the page takes it out. Until it is copied the dialog asks before it closes, and it stays
 * when the session ends.
 */
export function openSecret(kind, created, title) {
  const closing = new AbortController();
  let copied = false;
  let warned = false;
  const secret = el("code", { class: "secret-text", tabindex: "0" }, created.key);
  const copyLabel = el("span", {}, "Copy");
  const result = el("p", { class: "hint", role: "status" });
  const leaveWarning = el("p", { class: "field-error", role: "alert" });
  const signedOut = el("p", { class: "notice notice-warning", role: "alert", hidden: true });
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
  secret.addEventListener("copy", () => { copied = true; });
  /** mayClose asks once more while the key is not copied: it would be gone. */
  const mayClose = () => {
    if (copied || warned) return true;
    warned = true;
    leaveWarning.textContent = "You have not copied it yet. Close once more if it shall be lost.";
    return false;
  };
  const content = el("div", { class: "dialog-form" },
    el("div", { class: "dialog-body" },
      signedOut,
      el("div", { class: "notice notice-warning" }, icon("warning"),
        el("p", {}, el("strong", {}, `Copy this ${kind.short} now. It cannot be seen again.`),
          ` Only a fingerprint of it is stored. If it is lost, rotate or revoke it.`)),
      el("p", { class: "secret-name" }, created.name),
      el("div", { class: "secret", role: "group", "aria-label": `The ${kind.short}` }, secret, copyButton),
      el("p", { class: "hint" }, kind.secretUse, " ", el("code", {}, kind.secretHeader)),
      kind.bindsToDevice && setupSection(kind, created, { key: created.key, signal: closing.signal, taken: () => { copied = true; } }),
      result, leaveWarning),
    el("div", { class: "dialog-buttons" },
      el("button", { class: "button", type: "button", onclick: () => { if (mayClose()) handle.close(); } }, "Done")));
  const handle = openDialog({
    title, content, mayClose, className: kind.bindsToDevice ? "dialog-wide" : "",
    onClose: () => {
      closing.abort();
      secret.replaceChildren();
    },
    keepSignedOut: () => {
      if (copied) return false;
      signedOut.replaceChildren(icon("warning"), el("span", {}, `Your session has ended, but this ${kind.short} is made. Copy it before you close this; then sign in again.`));
      signedOut.hidden = false;
      return true;
    },
  });
}
