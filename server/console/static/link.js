// The page of a one-time sign-in link. The token stands in the address's fragment, which browsers send
// to nobody; it is taken out of the address at once, and used only when a person presses the button,
// so that a program which merely looks at the link does not spend it.

import { ApiError, call } from "./api.js";
import { icon } from "./dom.js";
import { roleName, withArticle } from "./format.js";

const part = (name) => document.getElementById(`link-${name}`);
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

/** claims reads what the token says of itself. Only the service can tell whether it is true. */
function claims() {
  try {
    const bytes = Uint8Array.from(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

function fail(sentence, hint) {
  part("error").replaceChildren(icon("warning"), document.createTextNode(sentence));
  part("error").hidden = false;
  part("hint").textContent = hint;
  part("hint").hidden = !hint;
}

const newLink = "Run “lastseen login” again for a new link.";

async function signIn() {
  const button = part("button");
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  part("error").hidden = true;
  try {
    await call("POST", "/auth/link/v1", { body: { token } });
    location.replace("/console/");
  } catch (error) {
    button.removeAttribute("aria-busy");
    const known = error instanceof ApiError;
    const mayRetry = known && (error.status === 0 || error.status === 429 || error.status >= 500);
    button.disabled = false;
    button.hidden = !mayRetry;
    part("console").hidden = mayRetry;
    part("text").hidden = !mayRetry;
    part("title").textContent = mayRetry ? "Sign in to lastseen" : "This link does not sign you in";
    fail(known ? error.message : "Something went wrong in this page.", mayRetry ? "" : newLink);
  }
}

// Another link, opened in this tab, only changes the fragment: that loads no page by itself.
addEventListener("hashchange", () => location.reload());

const said = claims();
if (!said) {
  part("title").textContent = "This link is not complete";
  fail(token === "" ? "The address has no sign-in token in it, or the page was reloaded." : "The sign-in token in the address is damaged.", newLink);
  part("console").hidden = false;
} else {
  const strong = document.createElement("strong");
  strong.className = "wrap-anywhere";
  strong.textContent = said.sub ?? "";
  const organisation = strong.cloneNode();
  organisation.textContent = said.org_id ?? "";
  part("text").replaceChildren("You are about to sign in as ", strong, `, ${withArticle(roleName(said.org_role ?? ""))} of `, organisation, ".");
  part("text").hidden = false;
  part("button").hidden = false;
  part("button").addEventListener("click", signIn);
  part("button").focus();
}
