// The libraries of the map and the chart, fetched when a page needs them, and only once.

let loading;

/** libraries returns { L, uPlot, feature }: Leaflet, the charts, and TopoJSON's reader. */
export function libraries() {
  loading ??= import("/console/vendor/map.js");
  loading.catch(() => { loading = undefined; }); // to be tried again
  return loading;
}
