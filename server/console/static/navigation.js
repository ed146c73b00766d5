// The bar at the top: the organisation selector with its Manage button, and the person's menu.

import { avatar, el, icon, uniqueId } from "./dom.js";
import { roleName } from "./format.js";

const bar = document.getElementById("top-bar");

/** topBar fills the bar for a signed-in person, or empties it for nobody. */
export function topBar(state) {
  const focused = bar.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  bar.querySelectorAll(".menu, .bar-links").forEach((part) => part.remove());
  bar.querySelector(".brand").href = state ? `#/${encodeURIComponent(state.membership.org_id)}` : "/console/";
  if (!state) return;
  bar.append(organisationMenu(state), links(state), personMenu(state));
  if (focused) [...bar.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
}

/** links lead to the parts of the console, and to the description of the API. */
function links({ membership, page }) {
  const base = `#/${encodeURIComponent(membership.org_id)}`;
  const manages = ["owner", "administrator"].includes(membership.role);
  const parts = [["sessions", `${base}/sessions`, "Sessions"], ["settings", `${base}/settings${manages ? "/api-keys" : ""}`, manages ? "Keys" : "Settings"]];
  return el("nav", { class: "bar-links", "aria-label": "Console" },
    parts.map(([name, href, text]) => el("a", { class: "bar-link", href, "aria-current": page === name ? "page" : null }, text)),
    el("a", { class: "bar-link", href: "/docs" }, "API"));
}

function organisationMenu({ session, membership }) {
  const { org_id: current, role } = membership;
  const others = session.organisations.filter(({ org_id }) => org_id !== current);
  return menu({
    className: "menu-organisation",
    label: `Organisation ${current}`,
    button: [avatar(current), el("span", { class: "menu-name" }, current), icon("updown")],
    panel: [
      el("div", { class: "menu-current" }, avatar(current),
        el("div", { class: "menu-text" }, el("strong", { class: "wrap-anywhere" }, current), el("span", { class: "muted small" }, roleName(role))),
        el("a", { class: "button button-small", href: `#/${encodeURIComponent(current)}/settings` }, icon("settings"), "Manage")),
      others.length > 0 && el("p", { class: "menu-heading", id: "other-organisations" }, "Switch organisation"),
      others.length > 0 && el("ul", { "aria-labelledby": "other-organisations" }, others.map(({ org_id, role: otherRole }) => el("li", {},
        el("a", { class: "menu-item", href: `#/${encodeURIComponent(org_id)}` }, avatar(org_id),
          el("span", { class: "menu-text" }, el("span", { class: "wrap-anywhere" }, org_id), el("span", { class: "muted small" }, roleName(otherRole))))))),
    ],
  });
}

function personMenu({ session, membership, onSignOut }) {
  return menu({
    className: "menu-person",
    label: `Signed in as ${session.user_id}`,
    button: [avatar(session.user_id, "avatar-person")],
    panel: [
      el("div", { class: "menu-current" },
        el("div", { class: "menu-text" }, el("span", { class: "muted small" }, "Signed in as"),
          el("strong", { class: "wrap-anywhere" }, session.user_id), el("span", { class: "muted small" }, roleName(membership.role)))),
      el("button", { class: "menu-item", type: "button", onclick: onSignOut }, "Sign out"),
    ],
  });
}

/** menu makes a button that opens a panel below itself; Escape, a click outside and a choice close it. */
function menu({ className, label, button, panel }) {
  const id = uniqueId("menu");
  const panelElement = el("div", { class: "menu-panel", id, popover: "auto" }, panel);
  const buttonElement = el("button", { class: "menu-button", type: "button", popovertarget: id, "aria-label": label, "aria-expanded": "false", title: label }, button);
  panelElement.addEventListener("beforetoggle", (event) => {
    if (event.newState !== "open") return;
    const { bottom, left, right } = buttonElement.getBoundingClientRect();
    const width = Math.min(360, innerWidth - 24);
    const start = className === "menu-person" ? right - width : left;
    panelElement.style.width = `${width}px`;
    panelElement.style.top = `${bottom + 6}px`;
    panelElement.style.left = `${Math.max(12, Math.min(start, innerWidth - width - 12))}px`;
  });
  panelElement.addEventListener("toggle", (event) => buttonElement.setAttribute("aria-expanded", String(event.newState === "open")));
  panelElement.addEventListener("click", (event) => { if (event.target.closest("a, button")) panelElement.hidePopover(); });
  return el("div", { class: `menu ${className}` }, buttonElement, panelElement);
}
