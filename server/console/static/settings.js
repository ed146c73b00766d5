// The organisation's settings: general facts for everybody, and the keys for those who manage them.

import { credentialsTab } from "./keys/credentials.js";
import { el, icon } from "./dom.js";
import { roleName } from "./format.js";
import { kinds } from "./keys/kinds.js";

/** settings makes the view. Without a kind it shows the general tab. */
export function settings({ session, membership, allowed, kind }) {
  const base = `#/${encodeURIComponent(membership.org_id)}/settings`;
  const tab = kind ? credentialsTab(kind) : { element: general({ session, membership, allowed }), stop: () => {} };
  const tabs = [["General", base, !kind], ...(allowed ? kinds.map((k) => [k.tab, `${base}/${k.slug}`, k === kind]) : [])];
  return {
    element: el("div", { class: "page" },
      el("div", { class: "page-head" },
        el("h1", { tabindex: "-1" }, "Organisation settings"),
        el("p", { class: "muted wrap-anywhere" }, membership.org_id)),
      el("nav", { class: "tabs", "aria-label": "Organisation settings" },
        tabs.map(([text, href, current]) => el("a", { class: "tab", href, "aria-current": current ? "page" : null }, text))),
      tab.element),
    stop: tab.stop,
  };
}

function general({ session, membership, allowed }) {
  const facts = [
    ["Organisation id", el("code", { class: "wrap-anywhere" }, membership.org_id)],
    ["You", el("span", { class: "wrap-anywhere" }, session.user_id)],
    ["Your role", roleName(membership.role)],
  ];
  return el("div", { class: "tab-content" },
    el("div", { class: "panel" }, el("dl", { class: "facts" },
      facts.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))))),
    !allowed && el("div", { class: "notice" }, icon("info"),
      el("p", {}, "API keys and device credentials are managed by the Owner and the Administrators of this organisation. Ask one of them when you need a key.")));
}
