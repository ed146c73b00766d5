// QR codes, drawn in the page: what they say leaves it only through a camera.

const drawnPixels = 260;
const edge = 4; // modules of white around a code, as its standard asks for

/** qrCode draws what a text says. The code is always black on white, which every camera reads. */
export async function qrCode(text, label) {
  const { encode } = await import("/console/vendor/qr.js");
  const { data, size } = encode(text, { ecc: "L", border: 0 });
  const dark = data.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x + edge} ${y + edge}h1v1h-1z` : ""))).join("");
  const whole = size + 2 * edge;
  const pixels = whole * Math.max(3, Math.floor(drawnPixels / whole)); // whole pixels for each module
  const namespace = "http://www.w3.org/2000/svg";
  const make = (tag, attributes) => {
    const element = document.createElementNS(namespace, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const svg = make("svg", { class: "qr", viewBox: `0 0 ${whole} ${whole}`, width: pixels, height: pixels, role: "img", "aria-label": label, "shape-rendering": "crispEdges" });
  svg.append(make("rect", { width: whole, height: whole, fill: "#fff" }), make("path", { d: dark, fill: "#000" }));
  return svg;
}
