// Times and names as people read them.

const dateFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const momentFormat = new Intl.DateTimeFormat("en-GB", {
  weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
});
const relativeFormat = new Intl.RelativeTimeFormat("en", { numeric: "always" });

// The units, and from how many seconds on each is used. Expiries are chosen in days, so days go far.
const units = [
  ["year", 365 * 86400, 2 * 365 * 86400], ["month", 30 * 86400, 100 * 86400], ["day", 86400, 86400], ["hour", 3600, 3600], ["minute", 60, 60],
];

/** date writes a day, such as "24 Dec 2026". */
export function date(when) {
  return dateFormat.format(when);
}

/** moment writes a day with its time and time zone. */
export function moment(when) {
  return momentFormat.format(when);
}

/** relative says how far a moment is from now, such as "in 29 days" or "5 minutes ago". */
export function relative(when, now = new Date()) {
  let seconds = (when - now) / 1000;
  if (seconds > 60) seconds = 60 * Math.ceil(seconds / 60); // what was made for 90 days a moment ago ends in 90, not 89
  for (const [unit, size, from] of units) {
    if (Math.abs(seconds) >= from) return relativeFormat.format(Math.trunc(seconds / size), unit);
  }
  return seconds > 0 ? "in less than a minute" : "just now";
}

/** roleName writes a role as a title; the wire's names are lower-case. */
export function roleName(role) {
  return { owner: "Owner", administrator: "Administrator", operator: "Operator", driver: "Driver" }[role] ?? role;
}

/** withArticle puts "a" or "an" before a word. */
export function withArticle(word) {
  return (/^[aeiou]/i.test(word) ? "an " : "a ") + word;
}

/** initials are the two letters that stand for an organisation or a person in a badge. */
export function initials(id) {
  const name = id.replace(/^(org|user)_/, "");
  const words = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const letters = words.length > 1 ? words[0][0] + words[1][0] : name.slice(0, 2);
  return letters.toUpperCase() || "?";
}
