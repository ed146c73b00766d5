// The keys that are shown, as the service gives them: a page of those that are good and one of those that are over.

import { ask } from "../api.js";
import { pageSize, parts } from "./choice.js";
import { pairs } from "./pairs.js";
import { usageOf } from "./usage.js";

const none = { records: [], total: 0, page: 0, next: null };

/** keyList holds the pages of an organisation's keys. load() brings them up to date. */
export function keyList(kind, signal) {
  // For each part the cursors of the pages so far, of which the last is the one that is shown.
  const cursors = { current: [undefined], over: [undefined] };
  const totals = { current: 0, over: 0 };
  let state = null;
  let known = new Map();
  let usage = new Map();
  let asked = 0;

  const page = async (which, status, { text, sort }) => {
    const cursor = cursors[which].at(-1);
    const query = { status, sort_by: sort, search: text || undefined, limit: pageSize, cursor };
    const { value, headers } = await ask("GET", `${kind.path}/list/v1`, { query, signal });
    const total = headers.get("Total-Count");
    return { records: value, total: total === null ? totals[which] : Number(total), page: cursors[which].length - 1, next: headers.get("Next-Cursor") };
  };

  /** load asks for the pages of a choice, the first ones when it is another. It returns false when it was overtaken. */
  const load = async (choice, { anew }) => {
    const turn = ++asked;
    if (anew) Object.assign(cursors, { current: [undefined], over: [undefined] });
    const wanted = parts(choice.status);
    const answers = await Promise.all(["current", "over"].map((which) => (wanted[which] ? page(which, wanted[which], choice) : none)));
    if (turn !== asked) return false;
    const [current, over] = answers.map((part) => ({ ...part, hasNext: Boolean(part.next) }));
    // Where what stood on the last page has gone, the list begins anew.
    if (answers.some(({ records, page: number }) => records.length === 0 && number > 0)) return load(choice, { anew: true });
    const together = await pairs(kind, [...current.records, ...over.records], signal);
    if (turn !== asked) return false;
    known = together;
    Object.assign(totals, { current: current.total, over: over.total });
    state = { current, over, choice };
    return true;
  };

  return {
    loaded: () => state !== null,
    shown: () => state,
    pairOf: (id) => known.get(id),
    usageOf: (id) => usage.get(id),
    forget: () => { state = null; },
    /** turn goes to a page of a part, the next or an earlier one; load() then shows it. */
    turn: (which, to) => {
      if (to < cursors[which].length) cursors[which].length = to + 1;
      else if (to === state[which].page + 1) cursors[which].push(state[which].next); // pressed twice it turns once
    },
    load,
    /** loadUsage asks what the keys that are shown are used for. It returns whether there is something to show. */
    loadUsage: async () => {
      if (!kind.hasLimits || !state) return false;
      const turn = asked;
      const ids = [...state.current.records, ...state.over.records].map(({ _id }) => _id);
      const found = await usageOf(kind, ids, signal).catch((error) => {
        if (signal.aborted) throw error;
        return new Map(); // the list stands without it
      });
      if (turn !== asked) return false;
      usage = found;
      return true;
    },
  };
}
