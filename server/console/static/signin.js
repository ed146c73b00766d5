// The way in: the identity provider's, or a one-time link from the command line.

import { el, icon } from "./dom.js";
import { snippet } from "./snippet.js";

/** signIn makes the view for somebody who is not signed in. */
export function signIn({ provider, message }) {
  const returnTo = `/console/${location.hash.startsWith("#/") ? location.hash : ""}`;
  return {
    element: gate(
      el("h1", { tabindex: "-1" }, "Sign in to lastseen"),
      message && el("p", { class: "notice", role: "alert" }, icon("info"), el("span", {}, message)),
      provider
        ? [
          el("p", { class: "muted" }, "Your organisation signs you in."),
          el("a", { class: "button button-primary button-wide", href: `/auth/login?${new URLSearchParams({ return_to: returnTo })}` }, "Sign in"),
        ]
        : [
          el("p", { class: "muted" }, "This service has no identity provider, so whoever runs it makes a sign-in link for you:"),
          snippet("The command that makes a sign-in link", `lastseen login --server ${location.origin} \\\n  --data-dir DIR --org org_… --user user_… --role owner`),
          el("p", { class: "muted small" }, "A link signs in once, within ten minutes."),
        ]),
  };
}

/** signInFailed makes the view for when it cannot be found out who is signed in. */
export function signInFailed(error, retry) {
  return {
    element: gate(
      el("h1", { tabindex: "-1" }, "The console cannot be shown"),
      el("p", { class: "notice notice-danger", role: "alert" }, icon("warning"), el("span", {}, error.message)),
      el("button", { class: "button button-wide", type: "button", onclick: retry }, "Try again")),
  };
}

function gate(...children) {
  return el("div", { class: "gate" }, el("img", { src: "/console/icon.svg", alt: "", width: "44", height: "44" }), children);
}
