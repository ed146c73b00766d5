// The map: its ground, its controls, and what both pages with a map do with it.

import { el, icon } from "../dom.js";
import { landLayer } from "./land.js";
import { libraries } from "./library.js";
import { streetLayer } from "./streets.js";

/** landUntil is the zoom up to which the land of Natural Earth is true enough to be shown. */
export const landUntil = 8;

const settledAfter = 4000;

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** makeMap puts a map into an element. It ends with signal. */
export async function makeMap(container, signal) {
  const { L, feature } = await libraries();
  if (signal.aborted) return null;
  const map = L.map(container, {
    center: [25, 10], zoom: 2, minZoom: 1, maxZoom: 19, zoomControl: false, zoomSnap: 0.5, preferCanvas: true, worldCopyJump: true,
    fadeAnimation: false, zoomAnimation: !still(), markerZoomAnimation: false, inertia: !still(), attributionControl: false,
  });
  L.control.zoom({ position: "topright" }).addTo(map);
  L.control.scale({ position: "bottomleft", imperial: false }).addTo(map);
  const attribution = L.control.attribution({ prefix: false }).addTo(map);
  attribution.addAttribution('<a href="/console/vendor/licences.txt">Leaflet · Natural Earth</a>');
  const ground = () => container.classList.toggle("is-far", map.getZoom() <= landUntil);
  map.on("zoomend", ground);
  ground();
  // Whoever opens the page on a town does not wait for the outlines of the world.
  const settled = new Promise((resolve) => {
    map.once("moveend", resolve);
    setTimeout(resolve, settledAfter);
  });
  landLayer(L, feature, { maxZoom: landUntil, settled, signal }).addTo(map);
  streetLayer(L, map, signal);
  const resized = new ResizeObserver(() => map.invalidateSize({ animate: false, pan: false }));
  resized.observe(container);
  signal.addEventListener("abort", () => {
    resized.disconnect();
    map.remove();
  });
  return map;
}

/** mapButton adds a button to the map's corner. */
export async function mapButton(map, { name, label, onclick }) {
  const { L } = await libraries();
  if (!map.getPane("mapPane")) return null; // it has been removed meanwhile
  const button = el("button", { class: "map-button", type: "button", "aria-label": label, title: label, onclick }, icon(name));
  const Control = L.Control.extend({ onAdd: () => el("div", { class: "leaflet-bar" }, button) });
  new Control({ position: "topright" }).addTo(map);
  L.DomEvent.disableClickPropagation(button);
  return button;
}

/** showAll moves the map so that some places are in view. */
export function showAll(map, places, { maxZoom = 15 } = {}) {
  if (places.length === 0) return;
  map.invalidateSize({ animate: false, pan: false }); // it may just have become smaller
  let [south, west, north, east] = [90, 180, -90, -180];
  for (const { lat, lon } of places) {
    south = Math.min(south, lat);
    north = Math.max(north, lat);
    west = Math.min(west, lon);
    east = Math.max(east, lon);
  }
  map.fitBounds([[south, west], [north, east]], { padding: [36, 36], maxZoom, animate: false });
}
