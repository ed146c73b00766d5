// The console: who is signed in, which view the address asks for, and the bar above it.

import { ApiError, call, use } from "./api.js";
import { closeSignedOut } from "./dialog.js";
import { announce, el, icon } from "./dom.js";
import { clock } from "./sessions/words.js";
import { kinds } from "./keys/kinds.js";
import { topBar } from "./navigation.js";
import { sessionsPage } from "./sessions/page.js";
import { settings } from "./settings.js";
import { signIn, signInFailed } from "./signin.js";

const main = document.getElementById("main");

let isOut = false; // the way in is shown: of several answers 401 the first says why
let session = null; // what GET /auth/session/v1 answered
let stopView = () => {};
let sessions = null; // the sessions page, while it is shown, and its organisation

/** show replaces the view. The heading gets the focus, so that a screen reader starts there. */
function show(title, { element, stop = () => {} }, { moveFocus = true } = {}) {
  stopView();
  stopView = stop;
  sessions = null;
  document.title = `${title} · lastseen`;
  main.replaceChildren(element);
  scrollTo(0, 0);
  if (moveFocus) main.querySelector("h1")?.focus();
}

/**
 * route reads the address: #/ORGANISATION and #/ORGANISATION/sessions, …/sessions/ID?from&to,
 * #/ORGANISATION/settings, …/settings/TAB. Any other leads to the sessions.
 */
function route({ moveFocus = true } = {}) {
  if (!session || skipping()) return;
  const [path] = (location.hash.startsWith("#/") ? location.hash.slice(2) : "").split("?");
  const [wanted = "", page = "", rest = ""] = path.split("/").map(decode);
  const membership = session.organisations.find(({ org_id }) => org_id === wanted);
  if (!membership || !["", "sessions", "settings"].includes(page)) {
    // An organisation that is not the person's and one that does not exist look the same.
    redirect(`#/${encodeURIComponent(membership ? wanted : session.org_id)}/sessions`, { moveFocus });
    return;
  }
  use({ organisation: membership.org_id });
  topBar({ session, membership, page: page || "sessions", onSignOut: signOut });
  if (page === "settings") showSettings(membership, rest, moveFocus);
  else showSessions(membership, rest, moveFocus);
}

/** skipping reports whether the address only names a place on this page, to which its link leads. */
function skipping() {
  return location.hash === "#main";
}

/** showSessions shows the sessions of an organisation, and goes from one to another without starting anew. */
function showSessions(membership, id, moveFocus) {
  if (sessions?.organisation !== membership.org_id) {
    const view = sessionsPage({ membership });
    show("Sessions", view, { moveFocus });
    sessions = { organisation: membership.org_id, view };
  }
  sessions.view.go?.(id);
}

function showSettings(membership, tab, moveFocus) {
  const allowed = ["owner", "administrator"].includes(membership.role);
  const kind = allowed ? kinds.find(({ slug }) => slug === tab) : undefined;
  if (tab !== "" && !kind) {
    redirect(`#/${encodeURIComponent(membership.org_id)}/settings`, { moveFocus });
    return;
  }
  show(kind ? kind.tab : "Settings", settings({ session, membership, allowed, kind }), { moveFocus });
}

function redirect(address, options) {
  history.replaceState(null, "", address);
  route(options);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

async function signOut() {
  try {
    await call("POST", "/auth/sign_out/v1");
  } catch (error) {
    announce(`You are still signed in. ${error.message}`, { failed: true });
    return;
  }
  leave("You have signed out.");
}

/** leave drops whatever is on the page and shows the way in. */
async function leave(message) {
  isOut = true;
  session = null;
  use({ csrfToken: "", organisation: "" });
  closeSignedOut();
  warnBeforeEnd(null);
  topBar(null);
  try {
    const { provider } = await call("GET", "/auth/options/v1");
    show("Sign in", signIn({ provider, message }));
  } catch (error) {
    show("Not available", signInFailed(error, start));
  }
}

async function start() {
  isOut = false;
  use({ organisation: "" });
  const wasSignedIn = session !== null;
  try {
    session = await call("GET", "/auth/session/v1");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status !== 401) show("Not available", signInFailed(error, start));
    return;
  }
  use({ csrfToken: session.csrf_token });
  warnBeforeEnd(session);
  route({ moveFocus: wasSignedIn });
}

let ending = 0;
const warnedBefore = 5 * 60_000;

/** warnBeforeEnd says some minutes before a session's end that it ends, so that nothing is begun that it would cut off. */
function warnBeforeEnd(now) {
  clearTimeout(ending);
  document.getElementById("session-ends")?.remove();
  if (!now) return;
  const end = Date.parse(now.expires_at_timestamp);
  ending = setTimeout(() => {
    document.body.append(el("div", { class: "session-ends notice notice-warning", id: "session-ends", role: "alert" }, icon("warning"),
      el("p", {}, `Your session ends at ${clock(end)}. Sign in again before you make a key.`),
      el("button", { class: "button button-small", type: "button", onclick: () => document.getElementById("session-ends").remove() }, "Close")));
  }, Math.min(2 ** 31 - 1, Math.max(0, end - warnedBefore - Date.now())));
}

/**
 * another finds out, when the service has refused something, whether it is because somebody has signed
 * in anew in this browser: then this page belongs to the earlier sign-in, and is begun again.
 */
async function another() {
  const before = session;
  if (!before) return;
  try {
    use({ organisation: "" });
    const now = await call("GET", "/auth/session/v1");
    if (now.csrf_token === before.csrf_token || session !== before) {
      use({ organisation: sessions?.organisation ?? before.org_id });
      return;
    }
    closeSignedOut();
    await start();
    announce(`${now.user_id} has signed in in another tab of this browser, so this one has changed, too. Nothing was done.`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

/** failedSignIn takes out of the address why the identity provider did not sign the person in. */
function failedSignIn() {
  const [, reason] = location.hash.match(/^#sign-in-failed:([a-z-]+)$/) ?? [];
  if (reason) history.replaceState(null, "", location.pathname);
  return reason && (failures[reason] ?? failures.refused);
}

const failures = {
  denied: "The identity provider did not sign you in. Try again, or ask your administrator.",
  expired: "Signing in took too long, or was begun in another browser. Try again.",
  refused: "The identity provider's answer was not accepted. Try again; if it happens again, tell whoever runs this service.",
  unavailable: "The identity provider cannot be reached at the moment. Try again in a minute.",
  "no-organisation": "Your account has no role in an organisation here. Ask your administrator for one, then sign in again.",
};

let failure = failedSignIn();

document.addEventListener("signed-out", () => {
  if (isOut) return;
  leave(failure ?? (session ? "Your session has ended. Sign in again to go on." : undefined));
  failure = undefined;
});
document.addEventListener("refused", another);
addEventListener("hashchange", () => route());
// From the back/forward cache the page comes back as it was left, perhaps by somebody who has signed out since.
addEventListener("pageshow", (event) => { if (event.persisted) start(); });
document.querySelector(".skip-link").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
start();
