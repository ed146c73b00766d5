// Land and sea from Natural Earth, drawn into Leaflet's tiles. The coarse land is there at once; the
// fine one is fetched when somebody comes close enough to see the difference.

import { colours, onSchemeChange } from "./colours.js";
import { world } from "./geo.js";

const fineFrom = 6;
const tileSize = 512;

/** landLayer makes the layer. settled is a promise: what is in view before it need not be fetched. */
export function landLayer(L, feature, { maxZoom, settled, signal }) {
  const detail = { coarse: null, fine: null };
  let paint = colours();
  const fetchLand = async (which, file) => {
    detail[which] ??= fetch(file, { signal }).then((answer) => answer.json()).then((topology) => rings(feature(topology, topology.objects.land)));
    return detail[which];
  };
  const land = (zoom) => (zoom >= fineFrom ? fetchLand("fine", "/console/vendor/land-10m.json") : fetchLand("coarse", "/console/vendor/land-50m.json"));
  const Layer = L.GridLayer.extend({
    createTile(coords, done) {
      const ratio = Math.min(2, devicePixelRatio || 1);
      const canvas = document.createElement("canvas");
      canvas.width = tileSize * ratio;
      canvas.height = tileSize * ratio;
      settled.then(() => (layer.isWanted(coords) ? land(coords.z) : [])).then((shapes) => {
        draw(canvas, shapes, coords, paint);
        done(null, canvas);
      }, () => {
        detail.coarse = null;
        detail.fine = null;
        done(null, canvas);
      });
      return canvas;
    },
    isWanted(coords) { return this._map?.getZoom() <= maxZoom && Math.round(this._map.getZoom()) === coords.z; },
  });
  const layer = new Layer({ tileSize, maxZoom, maxNativeZoom: maxZoom, updateWhenZooming: false, keepBuffer: 1 });
  onSchemeChange(() => {
    paint = colours();
    layer.redraw();
  }, signal);
  return layer;
}

/**
 * rings takes the outlines out of the land, in the coordinates of the map of the world, with their
 * bounds. One that crosses the date line goes on past the map's edge, and is drawn a world further on
 * each side, too.
 */
function rings(collection) {
  const found = [];
  const geometries = (collection.features ?? [collection]).map(({ geometry }) => geometry);
  for (const geometry of geometries) {
    const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
    for (const ring of polygons.flat()) {
      const shape = unrolled(ring);
      found.push(shape);
      for (const side of [-1, 1]) {
        if (shape.left + side >= 1 || shape.right + side <= 0) continue;
        found.push({ ...shape, points: shape.points.map((value, i) => (i % 2 === 0 ? value + side : value)), left: shape.left + side, right: shape.right + side });
      }
    }
  }
  return found;
}

/** unrolled is a ring whose longitudes do not jump. One that goes around a pole is closed along the map's edge. */
function unrolled(ring) {
  const places = [];
  const bounds = { left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity };
  let turns = 0;
  ring.forEach(([lon, lat], i) => {
    const step = i === 0 ? 0 : lon - ring[i - 1][0];
    if (step > 180) turns -= 1;
    if (step < -180) turns += 1;
    const { x, y } = world({ lat, lon });
    places.push(x + turns, y);
  });
  if (turns !== 0) {
    const edge = places[1] > 0.5 ? 1 : 0;
    places.push(places.at(-2), edge, places[0], edge);
  }
  for (let i = 0; i < places.length; i += 2) {
    bounds.left = Math.min(bounds.left, places[i]);
    bounds.right = Math.max(bounds.right, places[i]);
    bounds.top = Math.min(bounds.top, places[i + 1]);
    bounds.bottom = Math.max(bounds.bottom, places[i + 1]);
  }
  return { points: Float64Array.from(places), ...bounds };
}

function draw(canvas, shapes, coords, paint) {
  const tiles = (256 * 2 ** coords.z) / tileSize;
  const size = canvas.width;
  const margin = 0.02 / tiles;
  const column = ((coords.x % tiles) + tiles) % tiles;
  const [left, top] = [column / tiles, coords.y / tiles];
  const [right, bottom] = [left + 1 / tiles, top + 1 / tiles];
  const context = canvas.getContext("2d");
  const scale = tiles * size;
  // What lies outside may be moved along the tile's edge: nobody sees it, and it need not be drawn.
  const clampX = (x) => Math.min(right + margin, Math.max(left - margin, x));
  const clampY = (y) => Math.min(bottom + margin, Math.max(top - margin, y));
  context.beginPath();
  for (const { points, ...bounds } of shapes) {
    if (bounds.left > right || bounds.right < left || bounds.top > bottom || bounds.bottom < top) continue;
    let [lastX, lastY] = [NaN, NaN];
    for (let i = 0; i < points.length; i += 2) {
      const x = Math.round((clampX(points[i]) - left) * scale * 2) / 2;
      const y = Math.round((clampY(points[i + 1]) - top) * scale * 2) / 2;
      if (x === lastX && y === lastY) continue;
      if (i === 0) context.moveTo(x, y);
      else context.lineTo(x, y);
      [lastX, lastY] = [x, y];
    }
    context.closePath();
  }
  context.fillStyle = paint.land;
  context.fill("evenodd");
  context.strokeStyle = paint.coast;
  context.lineWidth = 1;
  context.stroke();
}
