// How a session is doing, by what is known of it.

/** silentAfter is how old the newest position may be, in milliseconds, before a session counts as silent. */
export const silentAfter = 15 * 60_000;

/** movingFrom is the speed, in metres a second, from which a session counts as moving. */
export const movingFrom = 0.7;

/** states are the states in the order in which they are counted and listed. */
export const states = [
  { name: "moving", text: "Moving" },
  { name: "standing", text: "Standing" },
  { name: "silent", text: "Silent" },
  { name: "none", text: "No position" },
  { name: "ended", text: "Ended" },
];

/** stateOf returns the name of a session's state at a moment. */
export function stateOf(session, now) {
  if (session.ended) return "ended";
  if (!session.at) return "none";
  if (now - session.at > silentAfter) return "silent";
  return session.speed !== undefined && session.speed >= movingFrom ? "moving" : "standing";
}

/** stateText is a state as people read it. */
export function stateText(name) {
  return states.find((state) => state.name === name).text;
}
