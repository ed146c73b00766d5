// The list of an organisation's keys of one kind, and what has been done to them.

import { announce, el, icon } from "../dom.js";
import { openCreate } from "./actions.js";
import { activity } from "./activity.js";
import { choiceBar, pager } from "./choice.js";
import { keyList } from "./list.js";
import { table } from "./table.js";
import { fillUsage } from "./usage.js";

const refreshMilliseconds = 60_000;

/**
 * credentialsTab makes the tab's content. It loads the list, and again when the page comes back into
 * view and every minute while it is. stop() ends that.
 */
export function credentialsTab(kind) {
  const stopping = new AbortController();
  const { signal } = stopping;
  const addButton = el("button", { class: "button button-primary", type: "button", onclick: () => openCreate(kind, changed) },
    icon("plus"), `Add new ${kind.short}`);
  const heading = el("h2", { tabindex: "-1" }, kind.tab);
  const list = el("div", { class: "list" });
  const events = activity(kind, signal);
  const keys = keyList(kind, signal);
  let unfolded = false;

  const load = async ({ anew = false } = {}) => {
    if (!keys.loaded()) showLoading(list, kind);
    try {
      if (!await keys.load(bar.choice(), { anew })) return;
      keepFocus(list, heading, show);
      if (await keys.loadUsage()) fillUsage(list, keys.usageOf);
    } catch (error) {
      if (signal.aborted) return;
      // A list that could not be brought up to date is no longer true, so it does not stay.
      keys.forget();
      bar.element.hidden = true;
      showError(list, kind, error, () => {
        load();
        events.load();
      });
    }
  };
  const bar = choiceBar(kind, () => load({ anew: true }));
  const changed = (sentence) => {
    if (sentence) announce(sentence);
    load();
    events.load();
  };
  const show = () => {
    if (!keys.loaded()) return;
    list.removeAttribute("aria-busy");
    const { current, over, choice } = keys.shown();
    const found = current.total + over.total;
    const chosen = choice.text !== "" || choice.status !== "";
    bar.element.hidden = found === 0 && !chosen;
    if (bar.element.hidden) {
      showNone(list, kind, () => openCreate(kind, changed));
      return;
    }
    const part = (which, { records, total, page, hasNext }, label) => {
      const turned = (to) => {
        keys.turn(which, to);
        load();
      };
      return [el("div", { class: "panel" }, table(kind, records, { caption: label, pairOf: keys.pairOf, usageOf: keys.usageOf, changed })),
        pager({ page, count: total, hasNext, label: `Pages: ${label}`, turned })];
    };
    bar.say(chosen ? (found === 0 ? "Nothing matches." : `${found} found.`) : "");
    const asked = ["expired", "revoked"].includes(choice.status) || (choice.text !== "" && current.total === 0);
    const fold = el("details", { class: "fold", open: unfolded || asked, ontoggle: () => { if (!asked) unfolded = fold.open; } },
      el("summary", {}, `Revoked and expired (${over.total})`), part("over", over, `Revoked and expired ${kind.many}`));
    list.replaceChildren(...[
      current.total > 0 && part("current", current, `The organisation's ${kind.many}`),
      current.total === 0 && (over.total === 0 || !asked) && el("p", { class: "panel placeholder muted" }, found === 0 ? `No ${kind.short} matches.` : `No ${kind.short} is active.`),
      over.total > 0 && fold,
    ].flat(3).filter(Boolean));
  };
  const refresh = () => {
    if (document.visibilityState === "visible" && keys.loaded()) load();
  };
  document.addEventListener("visibilitychange", refresh, { signal });
  const timer = setInterval(refresh, refreshMilliseconds);
  signal.addEventListener("abort", () => clearInterval(timer));

  load();
  events.load();
  bar.element.hidden = true;
  const element = el("div", { class: "tab-content" },
    el("div", { class: "section-head" },
      el("div", {}, heading, el("p", { class: "muted" }, kind.purpose)),
      addButton),
    bar.element, list, events.element);
  return { element, stop: () => stopping.abort() };
}

function showLoading(list, kind) {
  list.setAttribute("aria-busy", "true");
  list.replaceChildren(el("div", { class: "panel skeleton" },
    el("p", { class: "visually-hidden" }, `Loading the ${kind.many}.`),
    Array.from({ length: 3 }, () => el("div", { class: "skeleton-row" }, el("span"), el("span"), el("span"), el("span")))));
}

function showError(list, kind, error, retry) {
  list.removeAttribute("aria-busy");
  list.replaceChildren(el("div", { class: "panel placeholder", role: "alert" },
    el("div", { class: "placeholder-icon is-danger" }, icon("warning")),
    el("h3", {}, `The ${kind.many} cannot be shown`),
    el("p", { class: "muted" }, error.message),
    error.requestId && el("p", { class: "muted small" }, "Request ", el("code", {}, error.requestId)),
    el("button", { class: "button", type: "button", onclick: retry }, "Try again")));
}

function showNone(list, kind, add) {
  list.replaceChildren(el("div", { class: "panel placeholder" },
    el("div", { class: "placeholder-icon" }, icon(kind.icon)),
    el("h3", {}, `No ${kind.many} yet`),
    el("p", { class: "muted" }, kind.emptyText),
    el("button", { class: "button", type: "button", onclick: add }, `Add the first ${kind.short}`)));
}

/**
 * keepFocus runs a change of the list and puts the focus back on the same button, or on the heading
 * when the button is gone, so that a keyboard's user is not thrown back to the top of the page.
 */
function keepFocus(list, heading, change) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  change();
  if (focused) (list.querySelector(`[data-focus="${CSS.escape(focused)}"]:not(:disabled)`) ?? heading).focus();
}
