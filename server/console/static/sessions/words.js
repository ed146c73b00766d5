// Speeds, distances, times and states as people read them.

const kilometresPerHour = 3.6;
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const secondsFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayClockFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const dayClockSecondsFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const numberFormat = new Intl.NumberFormat("en-GB");

/** number writes a whole number with its thousands apart. */
export function number(n) {
  return numberFormat.format(n);
}

/** speed writes metres a second as kilometres an hour, and nothing where it is not known. */
export function speed(metersPerSecond) {
  return metersPerSecond === undefined ? "" : `${Math.round(metersPerSecond * kilometresPerHour)} km/h`;
}

/** length writes metres. */
export function length(meters) {
  if (meters < 1000) return `${Math.round(meters)} m`;
  return `${meters < 100_000 ? (meters / 1000).toFixed(1) : number(Math.round(meters / 1000))} km`;
}

/** battery writes a charge from 0 to 1, and nothing where it is not known. */
export function battery(charge) {
  return charge === undefined ? "" : `${Math.round(charge * 100)} %`;
}

/** clock writes the time of day. */
export function clock(when) {
  return clockFormat.format(when);
}

/** clockSeconds writes the time of day to the second. */
export function clockSeconds(when) {
  return secondsFormat.format(when);
}

/** dayClock writes a day and its time. */
export function dayClock(when) {
  return dayClockFormat.format(when);
}

/** dayClockSeconds writes a day and its time to the second. */
export function dayClockSeconds(when) {
  return dayClockSecondsFormat.format(when);
}

const steps = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** span writes a length of time in its largest unit, such as "12 s" or "3 h". */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const [unit, size] = steps.find(([, least]) => seconds >= least) ?? steps.at(-1);
  return `${number(Math.floor(seconds / size))} ${unit}`;
}

/** count writes how many of something there are. */
export function count(n, one, many = `${one}s`) {
  return `${number(n)} ${n === 1 ? one : many}`;
}
