// A session's track: its data points in a range of time, and what follows from them.

import { ask } from "../api.js";
import { distance, place } from "./geo.js";

/** mostPoints is how many points are shown one by one; of more, one is shown for each bit of time. */
export const mostPoints = 10_000;
const buckets = 4000;

/** routes are where tracks and newest points come from: with a credential, and for everybody. */
export const routes = {
  own: { points: "/tracking/timeseries/session_by_device/data_points/v1", newest: "/tracking/timeseries/session_by_device/last_seen/v1" },
  open: { points: "/tracking/timeseries/session_by_device/data_points_public/v1", newest: "/tracking/timeseries/session_by_device/last_seen_public/v1" },
};

const reasons = { speed: "outlier: nothing gets there that fast", null_island: "outlier: at 0/0, where receivers are that know no position", future: "outlier: its time lies in the future" };

/** outlierWords are why a point does not count; empty for one that does. */
const outlierWords = ({ outlier, outlier_labeller: labeller, outlier_reason: reason }) => {
  if (!outlier) return "";
  return labeller === "user" ? "outlier: marked by a person" : reasons[reason] ?? "outlier: it cannot be true";
};

/** readPoint makes a point of the service's into { id, at, lat, lon, speed, … }. */
export function readPoint(point) {
  return { id: point._id, at: Date.parse(point.timestamp), outlier: outlierWords(point.metadata), temperature: point.temperature, ...place(point.location) };
}

/**
 * loadTrack asks for the points from one moment to another. The answer is { points, stays, query,
 * bucket }: bucket is the seconds for each of which only the newest point is there, or 0 for every point.
 */
export async function loadTrack(path, id, { from, to }, signal) {
  const range = { session_id: id, start_timestamp: new Date(from).toISOString(), end_timestamp: new Date(to).toISOString() };
  let bucket = 0;
  let query = { ...range, limit: mostPoints };
  let { value } = await ask("GET", path, { query, signal, timeout: 120_000 });
  if (value.next_cursor) {
    bucket = Math.min(604_800, Math.max(1, Math.ceil((to - from) / 1000 / buckets)));
    query = { ...range, bucket_seconds: bucket };
    ({ value } = await ask("GET", path, { query, signal, timeout: 120_000 }));
  }
  const points = value.data_points.map(readPoint);
  pace(points);
  return { points, stays: value.stationary_clusters.map(readStay), query, bucket };
}

/** append adds a newer point to a track's, and returns whether it is newer. */
export function append(points, point) {
  const last = points.at(-1);
  if (last && point.at <= last.at) return false;
  points.push(point);
  pace(points, points.length - 1);
  return true;
}

/** pace gives every point a pace: its speed, or that of the way from the point before. */
function pace(points, from = 0) {
  let before = points.slice(0, from).findLast((point) => !point.outlier);
  for (const point of points.slice(from)) {
    if (point.outlier) continue;
    const seconds = before ? (point.at - before.at) / 1000 : 0;
    point.pace = point.speed ?? (seconds > 0 ? distance(before, point) / seconds : undefined);
    before = point;
  }
}

function readStay(stay) {
  return {
    ...place(stay.centroid_location), from: Date.parse(stay.start_timestamp), to: Date.parse(stay.end_timestamp),
    radius: stay.radius_miles * 1609.344, count: stay.point_count,
  };
}

/** summary is what is said of a track in numbers: metres, points, the fastest point. Outliers do not count. */
export function summary(points) {
  let meters = 0;
  let before = null;
  let fastest = null;
  let outliers = 0;
  for (const point of points) {
    if (point.outlier) {
      outliers += 1;
      continue;
    }
    if (before) meters += distance(before, point);
    if (point.pace !== undefined && (!fastest || point.pace > fastest.pace)) fastest = point;
    before = point;
  }
  return { meters, fastest, outliers };
}

/**
 * followNewest polls a session's newest point and is answered when it changes, until signal aborts.
 * seen(point) gets each new one, failed(error) what went wrong; failed returns whether to go on.
 */
export async function followNewest(path, id, { seen, failed, wait = 20 }, signal) {
  let tag = "";
  for (let failures = 0; !signal.aborted;) {
    try {
      const headers = tag ? { "If-None-Match": tag, Prefer: `wait=${wait}` } : {};
      const { value, status, headers: received } = await ask("GET", path, { query: { session_id: id }, headers, signal, timeout: (wait + 15) * 1000 });
      if (signal.aborted) return;
      failures = 0;
      tag = received.get("ETag") ?? "";
      seen(status === 304 ? undefined : value && readPoint(value));
      // Whose wait was not granted asks again soon, but not at once.
      if (status === 304 && !received.has("Preference-Applied")) await pause(3000, signal);
    } catch (error) {
      if (signal.aborted || !failed(error)) return;
      failures += 1;
      await pause(Math.min(10_000, 1000 * 2 ** failures), signal);
    }
  }
}

/** pause waits, or until the page is online again. */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    const early = () => {
      clearTimeout(timer);
      resolve();
    };
    addEventListener("online", early, { once: true, signal });
    signal.addEventListener("abort", early, { once: true });
  });
}
