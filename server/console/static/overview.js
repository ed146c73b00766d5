// Where a person arrives: which organisation this is, and the first lines to try.

import { copyText, el, icon } from "./dom.js";
import { roleName, withArticle } from "./format.js";

/** overview makes the view. */
export function overview({ session, membership }) {
  const { org_id: organisation, role } = membership;
  const manages = ["owner", "administrator"].includes(role);
  const settingsPath = `#/${encodeURIComponent(organisation)}/settings`;
  return {
    element: el("div", { class: "page" },
      el("div", { class: "page-head" },
        el("h1", { tabindex: "-1", class: "wrap-anywhere" }, organisation),
        el("p", { class: "muted" }, "You are ", el("strong", { class: "wrap-anywhere" }, session.user_id), `, ${withArticle(roleName(role))} of this organisation.`)),
      el("div", { class: "cards" },
        el("section", { class: "panel card" },
          el("div", { class: "placeholder-icon" }, icon("key")),
          el("h2", {}, "Keys for integrations and devices"),
          manages
            ? el("p", { class: "muted" }, "API keys read sessions and positions. Device credentials write points. Make one for each, and revoke it when it is no longer needed.")
            : el("p", { class: "muted" }, "Only an Owner or an Administrator of this organisation can see and manage keys. Ask one of them when you need one."),
          el("div", { class: "card-foot" }, manages
            ? [el("a", { class: "button button-primary", href: `${settingsPath}/api-keys` }, "API keys"), el("a", { class: "button", href: `${settingsPath}/device-credentials` }, "Device credentials")]
            : el("a", { class: "button", href: settingsPath }, "Organisation settings"))),
        el("section", { class: "panel card" },
          el("h2", {}, "Read with an API key"),
          el("p", { class: "muted" }, "Put a key in the environment and list the sessions, then poll the newest position of one."),
          snippet("The newest position of a session", [
            `export LASTSEEN=${location.origin} KEY=ak_…`,
            'curl -H "Authorization: Bearer $KEY" \\\n  "$LASTSEEN/tracking/sessions/list/v1"',
            'curl -H "Authorization: Bearer $KEY" -G -d session_id=… \\\n  "$LASTSEEN/tracking/timeseries/session_by_device/last_seen/v1"',
          ].join("\n"))))),
  };
}

/** snippet shows lines for a shell, with a button that copies them. */
export function snippet(label, text) {
  const code = el("code", {}, text);
  const buttonLabel = el("span", {}, "Copy");
  const button = el("button", {
    class: "button button-small", type: "button", "aria-label": `Copy: ${label}`,
    onclick: async () => { buttonLabel.textContent = (await copyText(text, code)) ? "Copied" : "Selected"; },
  }, icon("copy"), buttonLabel);
  return el("div", { class: "snippet" }, el("pre", { tabindex: "0", "aria-label": label }, code), button);
}
