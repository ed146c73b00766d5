// Sharing a session with everybody who has its link, and taking that back.

import { call } from "../api.js";
import { announce, copyText, el, icon } from "../dom.js";
import { openDialog } from "../dialog.js";

/** shareLink is the address of a public session's page. */
export function shareLink(id) {
  return `${location.origin}/track/#${id}`;
}

/** openShare shows whether a session is public, with its link, and lets it be changed. changed(public) is called when it has been. */
export function openShare(session, changed) {
  let isPublic = session.record.public === true;
  const body = el("div", { class: "dialog-body" });
  const complaint = el("p", { class: "field-error", role: "alert" });
  const toggle = el("button", { class: "button", type: "button", autofocus: true, onclick: () => change() });
  const show = () => {
    const link = el("code", { class: "secret-text", tabindex: "0" }, shareLink(session.id));
    const copyLabel = el("span", {}, "Copy link");
    const copyButton = el("button", { class: "button button-primary", type: "button", onclick: async () => { copyLabel.textContent = (await copyText(shareLink(session.id), link)) ? "Copied" : "Selected"; } }, icon("copy"), copyLabel);
    body.replaceChildren(...(isPublic
      ? [el("p", {}, "Everybody who has this link sees the newest place and the track of this session, without an account, and nothing else of the organisation."), el("div", { class: "secret" }, link, copyButton)]
      : [el("p", {}, "Only people and keys that may see this session do. With a public link, everybody who has it sees its newest place and its track, without an account.")]), complaint);
    toggle.textContent = isPublic ? "Stop sharing" : "Make a public link";
    toggle.className = isPublic ? "button" : "button button-primary";
  };
  const change = async () => {
    toggle.disabled = true;
    complaint.textContent = "";
    try {
      await call("POST", "/tracking/sessions/update/v1", { query: { session_id: session.id }, body: { public: !isPublic } });
      isPublic = !isPublic;
      session.record.public = isPublic;
      announce(isPublic ? "The session has a public link." : "The link shows nothing any more.");
      changed(isPublic);
      show();
    } catch (error) {
      complaint.textContent = error.status === 404 ? "Only the organisation that owns this session can share it." : error.message;
    }
    toggle.disabled = false;
    toggle.focus();
  };
  const handle = openDialog({
    title: `Share “${session.label}”`,
    content: el("div", { class: "dialog-form" }, body,
      el("div", { class: "dialog-buttons" }, toggle, el("button", { class: "button", type: "button", onclick: () => handle.close() }, "Done"))),
  });
  show();
}
