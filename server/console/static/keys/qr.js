// QR codes, drawn in the page: what they say leaves it only through a camera.

import { svg } from "../dom.js";

const drawnPixels = 260;
const edge = 4; // modules of white around a code, as its standard asks for

/** qrCode draws what a text says. The code is always black on white, which every camera reads. */
export async function qrCode(text, label) {
  const { encode } = await import("/console/vendor/qr.js");
  const { data, size } = encode(text, { ecc: "L", border: 0 });
  const dark = data.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x + edge} ${y + edge}h1v1h-1z` : ""))).join("");
  const whole = size + 2 * edge;
  const pixels = whole * Math.max(3, Math.floor(drawnPixels / whole)); // whole pixels for each module
  return svg("svg", { class: "qr", viewBox: `0 0 ${whole} ${whole}`, width: pixels, height: pixels, role: "img", "aria-label": label, "shape-rendering": "crispEdges" },
    svg("rect", { width: whole, height: whole, fill: "#fff" }), svg("path", { d: dark, fill: "#000" }));
}
