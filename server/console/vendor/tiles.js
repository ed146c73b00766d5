// What draws an operator's own street map (--map-tiles), fetched only where there is one. Leaflet is
// the page's own: protomaps-leaflet finds it as a global.
export { leafletLayer } from "protomaps-leaflet";
