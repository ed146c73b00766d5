// The operator's own street map (--map-tiles), drawn from one PMTiles file that the service has.

import { onSchemeChange } from "./colours.js";

/** streetLayer adds the street map where the service has one. */
export async function streetLayer(L, map, signal) {
  try {
    const answer = await fetch("/console/map.json", { signal });
    if (!answer.ok) return;
    const { tiles, attribution, max_zoom: maxDataZoom } = await answer.json();
    if (!tiles || signal.aborted) return;
    globalThis.L = L; // where protomaps-leaflet looks for it
    const { leafletLayer } = await import("/console/vendor/tiles.js");
    let layer;
    const show = () => {
      layer?.remove();
      const flavor = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      layer = leafletLayer({ url: tiles, flavor, lang: "en", attribution, maxDataZoom });
      layer.backgroundColor = undefined; // where the file ends the page's own ground is seen
      layer.addTo(map);
    };
    show();
    onSchemeChange(show, signal);
  } catch (error) {
    if (!signal.aborted) console.info(`The street map cannot be shown: ${error.message}`);
  }
}
