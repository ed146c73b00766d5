// The colours of what is drawn on canvases, from the style sheet, where light and dark are.

const names = ["moving", "standing", "silent", "ended", "marker-edge", "marker-ring", "trail", "stay", "outlier", "land", "coast",
  "speed-0", "speed-1", "speed-2", "speed-3", "speed-4", "text-muted", "line", "accent"];

/** colours reads them as they are now. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** onSchemeChange calls back when the page turns dark or light. */
export function onSchemeChange(changed, signal) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed, { signal });
}

/** speedSteps are the speeds, in km/h, from which each colour of a track counts. */
export const speedSteps = [0, 10, 30, 60, 100];

/** speedStep returns which colour a speed in metres a second has, by its number. */
export function speedStep(metersPerSecond) {
  const kilometres = (metersPerSecond ?? 0) * 3.6;
  let step = 0;
  while (step + 1 < speedSteps.length && kilometres >= speedSteps[step + 1]) step += 1;
  return step;
}
