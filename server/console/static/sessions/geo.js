// Places on the Earth: distances, and where they lie on the map of the world.

const earthRadiusMeters = 6_371_000;
const radians = (degrees) => (degrees * Math.PI) / 180;

/** distance returns the metres between two places, { lat, lon } in degrees, along the Earth's surface. */
export function distance(a, b) {
  const across = Math.sin(radians(b.lat - a.lat) / 2);
  const along = Math.sin(radians(b.lon - a.lon) / 2);
  const h = across * across + Math.cos(radians(a.lat)) * Math.cos(radians(b.lat)) * along * along;
  return 2 * earthRadiusMeters * Math.asin(Math.min(1, Math.sqrt(h)));
}

const mercatorLimit = 85.0511287798;

/** world returns a place on the map of the world, which is one wide and one high (Web Mercator). */
export function world({ lat, lon }) {
  const sin = Math.sin(radians(Math.max(-mercatorLimit, Math.min(mercatorLimit, lat))));
  return { x: lon / 360 + 0.5, y: 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI) };
}

/** bearing returns the direction from one place to another, in degrees clockwise from north. */
export function bearing(a, b) {
  const from = world(a);
  const to = world(b);
  return (Math.atan2(to.x - from.x, from.y - to.y) * 180 / Math.PI + 360) % 360;
}

/** place reads a GeoJSON Feature of a point: latitude and longitude, and what the device said besides. */
export function place(feature) {
  const [lon, lat, altitude] = feature.geometry.coordinates;
  return { lat, lon, altitude, ...feature.properties };
}
