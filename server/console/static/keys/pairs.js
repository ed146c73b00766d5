// Rotated keys: which is the old one and which the new one of a pair.

const within = 30_000; // how long after the rotation's event the new key is made, at most

/** pairs returns, by the id of a key, { role: "old" or "new", other: the other's record }. */
export function pairs(records, events) {
  const found = new Map();
  const byId = new Map(records.map((record) => [record._id, record]));
  for (const event of events) {
    const old = event.action === "rotated" && byId.get(event.key_id);
    if (!old) continue;
    const at = Date.parse(event.at_timestamp);
    const made = records.find((record) => {
      const after = Date.parse(record.created_at_timestamp) - at;
      return record !== old && record.name === old.name && record.device_id === old.device_id && after >= -1000 && after < within;
    });
    if (!made) continue;
    found.set(old._id, { role: "old", other: made });
    // Of the new one it is said only while the old one still counts.
    if (old.status === "active") found.set(made._id, { role: "new", other: old });
  }
  return found;
}
