// What the pages with a map use of the libraries, as one module: build.sh bundles it.
export * as L from "leaflet";
export { feature } from "topojson-client";
export { default as uPlot } from "uplot";
