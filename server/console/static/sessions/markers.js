// The newest positions, drawn on one canvas: ten thousand of them move as smoothly as ten.

import { colours, onSchemeChange } from "./colours.js";
import { libraries } from "./library.js";
import { stateOf } from "./states.js";

const directions = 32;
const reach = 14; // pixels within which a pointer means a marker

/**
 * markerLayer shows the sessions that visible() returns. draw() has it look at them again. onChoose(session)
 * is called for a click on one. places() tells where a session is drawn at the moment.
 */
export async function markerLayer(map, { visible, chosen, onChoose, signal }) {
  const { L } = await libraries();
  if (signal.aborted) return null;
  const pane = map.createPane("sessions");
  pane.classList.add("markers"); // above the tracks
  const canvas = L.DomUtil.create("canvas", "leaflet-zoom-hide", pane);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const layer = { frameMilliseconds: 0, drawn: 0 };
  let sprites = makeSprites();
  let requested = 0;
  let origin = { x: 0, y: 0 };
  let scale = 1;

  const draw = () => { requested ||= requestAnimationFrame(frame); };
  const frame = (now) => {
    requested = 0;
    if (signal.aborted) return;
    const began = performance.now();
    fit();
    const moving = paint(now);
    layer.frameMilliseconds = performance.now() - began;
    if (moving) draw();
  };

  const fit = () => {
    const { x: width, y: height } = map.getSize();
    const ratio = Math.min(2, devicePixelRatio || 1);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    L.DomUtil.setPosition(canvas, map.containerPointToLayerPoint([0, 0]));
    origin = map.getPixelBounds().min;
    scale = 256 * 2 ** map.getZoom();
    canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
  };

  const paint = (now) => {
    const context = canvas.getContext("2d");
    const { x: width, y: height } = map.getSize();
    context.clearRect(0, 0, width, height);
    const time = Date.now();
    const selected = chosen();
    let moving = false;
    layer.drawn = 0;
    for (const session of visible()) {
      if (!session.to) continue;
      if (advance(session, now)) moving = true;
      // On whole pixels, where a picture is copied and not computed.
      const x = Math.round(session.drawn.x * scale - origin.x);
      const y = Math.round(session.drawn.y * scale - origin.y);
      if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
      const sprite = sprites(stateOf(session, time), session.heading, session.id === selected);
      context.drawImage(sprite.picture, x - sprite.half, y - sprite.half, 2 * sprite.half, 2 * sprite.half);
      layer.drawn += 1;
    }
    return moving;
  };

  /** advance leads a session towards where it was seen, and returns whether it is still on the way. */
  const advance = (session, now) => {
    if (session.moved) {
      session.moved = false;
      const jumps = !session.drawn || session.pace === 0 || still.matches;
      session.from = jumps ? session.to : { ...session.drawn };
      session.drawn ??= { ...session.to };
      session.began = now;
    }
    const part = session.pace > 0 ? Math.min(1, (now - session.began) / session.pace) : 1;
    session.drawn.x = session.from.x + (session.to.x - session.from.x) * part;
    session.drawn.y = session.from.y + (session.to.y - session.from.y) * part;
    return part < 1;
  };

  const under = ({ x, y }) => {
    let best = null;
    let least = reach * reach;
    for (const session of visible()) {
      if (!session.drawn) continue;
      const dx = session.drawn.x * scale - origin.x - x;
      const dy = session.drawn.y * scale - origin.y - y;
      const far = dx * dx + dy * dy;
      if (far < least) [best, least] = [session, far];
    }
    return best;
  };
  const tip = L.tooltip({ direction: "top", offset: [0, -10], className: "map-tip" });
  map.on("mousemove", ({ containerPoint }) => {
    const session = under(containerPoint);
    map.getContainer().classList.toggle("is-over-marker", session !== null);
    if (session) tip.setLatLng([session.lat, session.lon]).setContent(document.createTextNode(session.label)).addTo(map);
    else tip.remove();
  });
  map.on("click", ({ containerPoint }) => {
    const session = under(containerPoint);
    if (session) onChoose(session);
  });
  map.on("move zoomend resize viewreset", draw);
  onSchemeChange(() => {
    sprites = makeSprites();
    draw();
  }, signal);
  signal.addEventListener("abort", () => {
    cancelAnimationFrame(requested);
    canvas.remove();
  });
  return Object.assign(layer, { draw });
}

/** makeSprites returns a function that gives the small picture of a state, painted when first asked for. */
function makeSprites() {
  const paint = colours();
  const made = { true: new Map(), false: new Map() };
  return (state, heading, chosen) => {
    const turned = state === "moving" && heading !== undefined;
    const direction = turned ? Math.round((heading / 360) * directions) % directions : -1;
    const key = turned ? direction : state;
    const known = made[chosen];
    let picture = known.get(key);
    if (!picture) {
      picture = sprite(paint, state, direction, chosen);
      known.set(key, picture);
    }
    return picture;
  };
}

function sprite(paint, state, direction, chosen) {
  const ratio = Math.min(2, devicePixelRatio || 1);
  const half = chosen ? 19 : 13;
  const canvas = new OffscreenCanvas(2 * half * ratio, 2 * half * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, half * ratio, half * ratio);
  if (chosen) {
    context.beginPath();
    context.arc(0, 0, 16, 0, 2 * Math.PI);
    context.lineWidth = 3;
    context.strokeStyle = paint["marker-ring"];
    context.stroke();
  }
  context.beginPath();
  if (direction >= 0) {
    context.rotate((direction / directions) * 2 * Math.PI);
    context.moveTo(0, -10.5);
    context.lineTo(7.5, 8);
    context.lineTo(0, 4.5);
    context.lineTo(-7.5, 8);
    context.closePath();
  } else {
    context.arc(0, 0, state === "ended" ? 4 : 5.5, 0, 2 * Math.PI);
  }
  context.fillStyle = paint[state] || paint.ended;
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = paint["marker-edge"];
  context.stroke();
  return { picture: canvas.transferToImageBitmap(), half };
}
