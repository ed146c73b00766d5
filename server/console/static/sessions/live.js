// Positions as they change, by server-sent events. What the sessions are called, which there are and which have ended
// says the list.

import { listen } from "../api.js";

const path = "/tracking/timeseries/session_by_device/last_seen_changes/v1";
const mostPause = 30_000;

/**
 * liveChanges follows what changes until signal aborts, and goes on where it broke off. It tells sink:
 *   moved(point)   a data point, the newest of its session
 *   left()         that a session has ended, or is no longer to be seen
 *   live(is)       whether it follows
 *   heard()        that the service is there
 */
export function liveChanges(sink, signal) {
  let last = "";
  let pause = 1000;
  let failures = 0;
  const tell = ({ event, data, id, retry }) => {
    sink.heard();
    if (retry) pause = Number(retry) || pause;
    if (event === "last_seen") sink.moved(JSON.parse(data));
    if (event === "gone" || event === "reset") sink.left();
    if (id) last = id;
  };
  const run = async () => {
    while (!signal.aborted) {
      try {
        await listen(path, {
          signal, headers: last ? { "Last-Event-ID": last } : {}, heard: tell,
          opened: () => {
            failures = 0;
            sink.live(true);
          },
        });
      } catch (error) {
        if (signal.aborted || error.status === 401 || error.status === 403) return;
        if (error.status === 422) last = ""; // not of this service
        failures += 1;
      }
      sink.live(false);
      await new Promise((resolve) => { setTimeout(resolve, Math.min(mostPause, pause * 2 ** Math.max(0, failures - 1))); });
    }
  };
  run();
}
