#!/bin/sh
# Makes the files in ../static/vendor, and the accessibility checker of the browser tests, from the
# pinned packages. They are committed, so that a build needs no npm: run this after a change of
# package.json (npm install --package-lock-only --omit-lockfile-registry-resolved) and commit both.
set -eu
cd "$(dirname "$0")"
npm ci --ignore-scripts --no-audit --no-fund
esbuild=node_modules/.bin/esbuild
[ -x "$esbuild" ] || esbuild="node node_modules/esbuild/bin/esbuild"
out=../static/vendor
mkdir -p "$out"
for name in map qr tiles; do
  $esbuild "$name.js" --bundle --minify --format=esm --target=es2022 --legal-comments=none --outfile="$out/$name.js"
done
# Its pictures belong to controls that the pages do not have.
grep -v 'url(' node_modules/leaflet/dist/leaflet.css > "$out/leaflet.css"
cp node_modules/uplot/dist/uPlot.min.css "$out/uplot.css"
cp node_modules/world-atlas/land-50m.json node_modules/world-atlas/land-10m.json "$out/"
cp node_modules/axe-core/axe.min.js ../../testdata/axe.min.js
{
  echo "The console's map, charts and QR codes are made of these packages."
  for package in leaflet uplot uqr topojson-client world-atlas protomaps-leaflet @protomaps/basemaps @mapbox/point-geometry @mapbox/vector-tile color2k fflate pbf pmtiles potpack quickselect rbush; do
    printf '\n---- %s %s\n\n' "$package" "$(node -p "require('./node_modules/$package/package.json').version")"
    text=$(find "node_modules/$package" -maxdepth 1 -iname 'licen[sc]e*' | sort | head -n 1)
    if [ -n "$text" ]; then cat "$text"; else node -p "const p = require('./node_modules/$package/package.json'); 'Licence: ' + p.license + ', ' + (p.author?.name ?? p.author ?? 'the Protomaps project')"; fi
  done
  printf '\n---- Natural Earth (the land of world-atlas)\n\nMade with Natural Earth, whose map data is in the public domain.\n'
} > "$out/licences.txt"
