// Taking a track along: as a file of every format, and as the line for a shell that asks for the same.

import { address, ask } from "../api.js";
import { announce, copyText, el, icon, uniqueId } from "../dom.js";

const formats = [
  ["csv", "CSV", "csv"], ["gpx", "GPX", "gpx"], ["geojson", "GeoJSON", "geojson"], ["json", "JSON", "json"],
  ["ndjson", "NDJSON", "ndjson"], ["parquet", "Parquet", "parquet"], ["arrow", "Arrow", "arrows"],
];

/** curlLine writes a request as a line for a shell, with an API key in $KEY, or without a credential. */
export function curlLine(path, query, { withKey = true } = {}) {
  return `curl -s ${withKey ? '-H "Authorization: Bearer $KEY" ' : ""}'${location.origin}${address(path, query)}'`;
}

/** exportMenu makes the menu. request() is { path, query, name } of what is shown; a file holds every point of the range. */
export function exportMenu(request, signal) {
  const id = uniqueId("export");
  const download = async ([format, text, extension]) => {
    const { path, query, name } = request();
    const { session_id, start_timestamp, end_timestamp } = query;
    panel.hidePopover();
    announce(`The ${text} file is being made.`);
    try {
      const { value } = await ask("GET", path, {
        query: { session_id, start_timestamp, end_timestamp, format }, headers: { Accept: "*/*" }, read: "blob", timeout: 600_000, signal,
      });
      const link = el("a", { href: URL.createObjectURL(value), download: `${name.replaceAll(/[^\w.-]+/g, "-")}.${extension}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      if (!signal.aborted) announce(`The file could not be made. ${error.message}`, { failed: true });
    }
  };
  const panel = el("div", { class: "menu-panel", id, popover: "auto" },
    formats.map((format) => el("button", { class: "menu-item", type: "button", onclick: () => download(format) }, format[1])));
  const button = el("button", { class: "button button-small", type: "button", popovertarget: id }, icon("download"), "Download");
  panel.addEventListener("beforetoggle", (event) => {
    if (event.newState !== "open") return;
    const { bottom, top, left } = button.getBoundingClientRect();
    const room = 300;
    panel.style.width = "160px";
    panel.style.left = `${Math.max(8, Math.min(left, innerWidth - 170))}px`;
    if (bottom + room > innerHeight) {
      panel.style.top = "auto";
      panel.style.bottom = `${innerHeight - top + 6}px`;
    } else {
      panel.style.top = `${bottom + 6}px`;
      panel.style.bottom = "auto";
    }
  });
  return el("div", { class: "menu" }, button, panel);
}

/** curlButton makes the button that copies what was asked as a line for a shell. */
export function curlButton(request, options) {
  const line = el("code", { class: "curl-line", hidden: true, tabindex: "0" });
  const button = el("button", {
    class: "button button-small", type: "button",
    onclick: async () => {
      const { path, query } = request();
      line.textContent = curlLine(path, query, options);
      const copied = await copyText(line.textContent, line);
      line.hidden = copied;
      if (copied) announce("The curl line is on your clipboard.");
      else await copyText(line.textContent, line); // selected, now that it can be seen
    },
  }, icon("copy"), "Copy as curl");
  return { button, line };
}
