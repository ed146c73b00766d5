// Playing a track: its points one after the other, as they came, only faster.

import { el, icon } from "../dom.js";

const paces = [["30", "30×"], ["120", "120×"], ["600", "600×"]];
const longestPause = 120_000; // of the track; longer ones are jumped over

/** replayControl makes the button and the choice of pace. points() are the points; at() is the number of the one where it begins, show(i) shows one. */
export function replayControl({ points, at, show, signal }) {
  const label = el("span", {}, "Replay");
  const pace = el("select", { class: "input input-small", "aria-label": "Pace of the replay" },
    paces.map(([value, text]) => el("option", { value, selected: value === "120" }, text)));
  let requested = 0;
  const stop = () => {
    cancelAnimationFrame(requested);
    requested = 0;
    label.textContent = "Replay";
    button.setAttribute("aria-pressed", "false");
  };
  const play = () => {
    const track = points();
    if (track.length < 2) return;
    let i = at() >= track.length - 1 ? 0 : at();
    let clock = track[i].at;
    let before = performance.now();
    label.textContent = "Stop";
    button.setAttribute("aria-pressed", "true");
    const step = (now) => {
      clock += (now - before) * Number(pace.value);
      before = now;
      while (i + 1 < track.length && track[i + 1].at <= clock) i += 1;
      if (i + 1 < track.length && track[i + 1].at - clock > longestPause) clock = track[i + 1].at;
      show(i);
      if (i + 1 < track.length) requested = requestAnimationFrame(step);
      else stop();
    };
    requested = requestAnimationFrame(step);
  };
  const button = el("button", { class: "button button-small", type: "button", "aria-pressed": "false", onclick: () => (requested ? stop() : play()) }, icon("play"), label);
  signal.addEventListener("abort", stop);
  return { element: el("div", { class: "joined" }, button, pace), stop };
}
