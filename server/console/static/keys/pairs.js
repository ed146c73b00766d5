// Rotated keys: which is the old one and which the new one of a pair.

import { call } from "../api.js";

const mostLookedUp = 20;

/**
 * pairs returns, by the id of a key, { role: "old" or "new", other: the other's record }. Others that are not among the
 * records are asked for.
 */
export async function pairs(kind, records, signal) {
  const byId = new Map(records.map((record) => [record._id, record]));
  const otherOf = (record) => record.replaced_by_id ?? record.replaces_id;
  const missing = records.filter((record) => record.status === "active" && otherOf(record) && !byId.has(otherOf(record))).slice(0, mostLookedUp);
  const found = await Promise.all(missing.map((record) => call("GET", `${kind.path}/list/v1`, { query: { search: otherOf(record), limit: 1 }, signal })));
  for (const [other] of found) if (other) byId.set(other._id, other);
  const known = new Map();
  for (const record of records) {
    const next = byId.get(record.replaced_by_id);
    const old = byId.get(record.replaces_id);
    if (next) known.set(record._id, { role: "old", other: next });
    // Of the new one it is said only while the old one still counts.
    else if (old?.status === "active") known.set(record._id, { role: "new", other: old });
  }
  return known;
}
