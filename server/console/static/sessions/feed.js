// What comes from the service, as it comes. A feed tells sink:
//   sessions(records, { whole })  some sessions as they are now; whole: these are all that are active
//   ended(records, total)         the sessions that ended last, and how many have ended in all
//   connection({ lost, asOf })    whether the service answers, and when it last did
//   total(n)                      how many active sessions there are, also past those that are given
//   moved(point)                  a data point, the newest of its session
// It follows what changes (live.js), and asks the session list now and then for what that does not tell. Where what
// changes cannot be followed it asks the list again and again.

import { call } from "../api.js";
import { liveChanges } from "./live.js";

const pageSize = 1000;

/** mostSessions is how many active sessions are shown; the search finds the others. */
export const mostSessions = 10_000;
const endedShown = 200;
const wholeEvery = 60_000;
const listPath = "/tracking/sessions/list/v1";
const liveEvery = 30_000; // that the list is asked while what changes is followed
const leastPause = 1000;
const soonRounds = 3; // so that whoever opens the page sees at once that it moves
const overlap = 120_000; // so that what was sent late, within reason, is not missed

/** sessionFeed begins to tell, and goes on until signal aborts. nudge() has it ask the list at once. */
export function sessionFeed(sink, signal) {
  let newest = 0; // of the timestamps seen
  let wholeAt = 0;
  let active = 0;
  let known = new Set();
  let wake = () => {};
  let live = false;
  let askedAt = 0;

  const note = (records) => {
    for (const { last_seen_at_timestamp: text } of records) {
      const when = text ? Date.parse(text) : 0;
      if (when > newest && when < Date.now() + 300_000) newest = when;
    }
  };
  const list = (query) => call("GET", listPath, { query: { page_size: pageSize, ...query }, signal });

  const loadWhole = async () => {
    const ids = new Set();
    for (let page = 1; page <= mostSessions / pageSize; page += 1) {
      const { items, total_count: total } = await list({ page, filter_terminated: false });
      for (const { _id } of items) ids.add(_id);
      active = total;
      note(items);
      const last = items.length < pageSize || page === mostSessions / pageSize;
      sink.total(total);
      sink.sessions(items, { whole: last ? ids : undefined });
      if (last) break;
    }
    const someLeft = [...known].some((id) => !ids.has(id));
    known = ids;
    return someLeft;
  };
  const loadEnded = async () => {
    const { items, total_count: total } = await list({ page_size: endedShown, filter_terminated: true, sort_by: "terminated_at_timestamp" });
    sink.ended(items, total);
  };
  const round = async () => {
    const now = Date.now();
    if (active <= pageSize || now - wholeAt > wholeEvery) {
      const someLeft = await loadWhole();
      if (someLeft || now - wholeAt > wholeEvery) {
        await loadEnded();
        wholeAt = now;
      }
    } else {
      // Of many only those that have moved are asked for.
      const since = new Date(newest - overlap).toISOString();
      for (let page = 1; page <= mostSessions / pageSize; page += 1) {
        const { items } = await list({ page, filter_terminated: false, filter_last_seen_at_timestamp_gte: since, sort_by: "last_seen_at_timestamp" });
        note(items);
        sink.sessions(items, {});
        if (items.length < pageSize) break;
      }
    }
  };
  const run = async () => {
    for (let failures = 0, rounds = 0; !signal.aborted; rounds += 1) {
      askedAt = Date.now();
      try {
        await round();
        failures = 0;
        sink.connection({ lost: false, asOf: Date.now() });
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        sink.connection({ lost: true, error });
      }
      const pause = live && rounds >= soonRounds ? liveEvery : active > pageSize ? 10_000 : active > 100 ? 5000 : rounds < soonRounds ? 500 : 2000;
      await until(failures > 0 ? Math.min(10_000, 1000 * 2 ** (failures - 1)) : pause);
    }
  };
  /** until waits, and longer while nobody looks at the page. */
  const until = (milliseconds) => new Promise((resolve) => {
    const timer = setTimeout(() => {
      if (document.visibilityState === "visible") resolve();
    }, milliseconds);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  const nudge = () => wake();
  let soon = 0;
  const nudgeSoon = () => {
    clearTimeout(soon);
    soon = setTimeout(nudge, Math.max(0, leastPause - (Date.now() - askedAt)));
  };
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") wake(); }, { signal });
  addEventListener("online", nudge, { signal });
  signal.addEventListener("abort", nudge);
  run();
  liveChanges({
    moved: (point) => {
      sink.moved(point);
      if (known.size > 0 && known.size < mostSessions && !known.has(point.metadata.session_id)) nudgeSoon(); // a new one
    },
    left: () => {
      wholeAt = 0;
      nudgeSoon();
    },
    live: (is) => {
      if (live && !is) nudge(); // the list finds out whether the service is there
      live = is;
    },
    heard: () => sink.connection({ lost: false, asOf: Date.now() }),
  }, signal);
  return { nudge };
}
