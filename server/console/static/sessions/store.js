// What is known of the sessions: one object for each, which keeps its identity while it changes, so
// that the list and the map need not be told which is which.

import { bearing, distance, place, world } from "./geo.js";
import { stateOf, states } from "./states.js";

const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** sessionStore makes an empty store. changed() is called after each change that the caller completes. */
export function sessionStore() {
  const byId = new Map();
  let sorted = [];
  let stale = false;

  /** put takes a session of the service's list, and returns whether its position is a newer one. */
  const put = (record) => {
    let session = byId.get(record._id);
    if (!session) {
      session = { id: record._id, trail: [] };
      byId.set(record._id, session);
      stale = true;
    }
    const label = record.off_chrt_reference_id ?? record.device_mac_address;
    if (session.label !== label) stale = true;
    Object.assign(session, {
      label, mac: record.device_mac_address, comments: record.comments ?? "", record, ended: record.terminated === true,
      text: `${record.off_chrt_reference_id ?? ""}\n${record.device_mac_address}\n${record.comments ?? ""}`.toLowerCase(),
    });
    if (!record.last_seen_at_timestamp) {
      session.at = undefined;
      return false;
    }
    return move(session, Date.parse(record.last_seen_at_timestamp), place(record.last_seen_at_location));
  };

  /** at takes a newer data point of a session that is there. */
  const at = (id, point) => {
    const session = byId.get(id);
    return session ? move(session, point.at, point) : false;
  };

  const drop = (id) => {
    if (byId.delete(id)) stale = true;
  };

  /** all returns the sessions by name. */
  const all = () => {
    if (stale) sorted = [...byId.values()].sort((a, b) => order.compare(a.label, b.label) || (a.id < b.id ? -1 : 1));
    stale = false;
    return sorted;
  };

  /** tally counts the sessions of each state. */
  const tally = (now) => {
    const counts = Object.fromEntries(states.map(({ name }) => [name, 0]));
    for (const session of byId.values()) counts[stateOf(session, now)] += 1;
    return counts;
  };

  return { put, at, drop, all, tally, get: (id) => byId.get(id), get size() { return byId.size; } };
}

/** move puts a session where it was seen at a moment. The map leads it there from where it is drawn. */
function move(session, when, where) {
  if (session.at === when && session.lat === where.lat && session.lon === where.lon) return false;
  const earlier = session.at ? { at: session.at, lat: session.lat, lon: session.lon, heading: session.heading, speed: session.speed } : null;
  const seconds = earlier ? (when - earlier.at) / 1000 : 0;
  Object.assign(session, { at: when, lat: where.lat, lon: where.lon, battery: where.battery, to: world(where) });
  session.speed = where.speed;
  if (session.speed === undefined && seconds > 0 && seconds < 600) session.speed = distance(earlier, session) / seconds;
  session.heading = where.heading ?? (earlier && (session.speed ?? 0) > 0.5 ? bearing(earlier, session) : earlier?.heading);
  session.pace = seconds > 0 && seconds < 60 && distance(earlier, session) < 5000 ? Math.min(5000, Math.max(400, seconds * 1000)) : 0;
  session.moved = true;
  if (session.trail.length > 0) session.trail.push({ at: when, lat: where.lat, lon: where.lon });
  return true;
}
