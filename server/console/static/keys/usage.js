// What keys are used for: requests a day, as small bars.

import { call } from "../api.js";
import { el, svg } from "../dom.js";

const days = 30;
const numbers = new Intl.NumberFormat("en");

/** usageOf returns, by the id of each key, { days: [requests a day, oldest first], total, failed } of the last 30 days. */
export async function usageOf(kind, ids, signal) {
  const used = new Map(ids.map((id) => [id, { days: Array(days).fill(0), total: 0, failed: 0 }]));
  if (ids.length === 0) return used;
  const first = new Date(Date.now() - (days - 1) * 86_400_000);
  const start = Date.UTC(first.getUTCFullYear(), first.getUTCMonth(), first.getUTCDate());
  const { items } = await call("GET", `${kind.path}/usage/v1`, {
    query: { [kind.idParameter]: ids.join(","), start_date: new Date(start).toISOString().slice(0, 10) }, signal,
  });
  for (const line of items) {
    const its = used.get(line.api_key_id);
    const day = Math.round((Date.parse(line.date) - start) / 86_400_000);
    if (!its || day < 0 || day >= days) continue;
    its.days[day] += line.requests;
    its.total += line.requests;
    if (line.outcome === "refused" || line.outcome === "failed") its.failed += line.requests;
  }
  return used;
}

/** usageSentence says how much a key was used. */
export function usageSentence({ total, failed }) {
  if (total === 0) return `No requests in the last ${days} days.`;
  const bad = failed > 0 ? `, of which ${numbers.format(failed)} were refused or failed` : "";
  return `${numbers.format(total)} ${total === 1 ? "request" : "requests"} in the last ${days} days${bad}.`;
}

/** usageBars draws a bar a day. It is decoration: the text beside it says how much there was. */
export function usageBars(usage) {
  const most = Math.max(...usage.days, 1);
  const bars = usage.days.map((requests, day) => {
    const height = requests === 0 ? 1 : Math.max(2, Math.round((requests / most) * 20));
    return svg("rect", { x: day * 3, y: 20 - height, width: 2, height, class: requests === 0 ? "is-none" : null });
  });
  return svg("svg", { viewBox: `0 0 ${days * 3} 20`, class: "usage-bars", "aria-hidden": "true", focusable: "false" }, ...bars);
}

/** usageCell is where the list says what a key is used for, at first without it when that is not known yet. */
export function usageCell(id, usage) {
  const cell = el("span", { class: "usage", "data-usage": id });
  fill(cell, usage);
  return cell;
}

/** fillUsage says in the cells of a list what is known by now. All else stays as it is, a button that is being pressed above all. */
export function fillUsage(list, usageOf) {
  for (const cell of list.querySelectorAll("[data-usage]")) fill(cell, usageOf(cell.dataset.usage));
}

function fill(cell, usage) {
  if (!usage) {
    cell.replaceChildren(el("span", { class: "muted" }, "…"));
    return;
  }
  cell.title = usageSentence(usage);
  cell.replaceChildren(usageBars(usage), el("span", { class: "under" }, usage.total === 0 ? "None" : `${numbers.format(usage.total)} in ${days} days`));
}
