// The page of the API: its navigation unfolds where there is room, the search finds routes, and what
// reads can be tried. A pasted credential is in the field and in the request, and nowhere else.

import { copyText, el, icon } from "./dom.js";

const longestShown = 20_000; // characters of an answer

const contents = document.getElementById("contents");
const wide = matchMedia("(min-width: 821px)");
const unfold = () => { contents.open = wide.matches; };
wide.addEventListener("change", unfold);
unfold();
contents.addEventListener("click", (event) => { if (event.target.closest("a") && !wide.matches) contents.open = false; });

/** find hides what does not hold the words that are searched for. */
function find() {
  const words = document.getElementById("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const section of document.querySelectorAll("section.operation")) {
    const text = section.textContent.toLowerCase();
    section.hidden = !words.every((word) => text.includes(word));
    if (!section.hidden) found += 1;
    const link = document.querySelector(`.side li a[href="#${CSS.escape(section.id)}"]`);
    if (link) link.parentElement.hidden = section.hidden;
  }
  for (const group of document.querySelectorAll(".nav-group")) {
    group.hidden = !group.querySelector("li:not([hidden])");
    const heading = document.getElementById(group.querySelector("h2 a").hash.slice(1));
    if (heading) heading.hidden = group.hidden;
  }
  for (const part of document.querySelectorAll("section.schema, #schemas")) part.hidden = words.length > 0;
  document.getElementById("found").textContent = words.length === 0 ? "" : `${found} ${found === 1 ? "route" : "routes"} found.`;
  if (words.length > 0) contents.open = true;
}
document.getElementById("find").hidden = false;
document.getElementById("find").addEventListener("input", find);

document.getElementById("key-form").hidden = false;
document.getElementById("key-form").addEventListener("submit", (event) => event.preventDefault());

for (const line of document.querySelectorAll(".copy-line")) {
  const label = el("span", {}, "Copy");
  const code = line.querySelector("code");
  line.append(el("button", {
    class: "button button-small", type: "button", "aria-label": "Copy the curl line",
    onclick: async () => { label.textContent = (await copyText(code.textContent, code)) ? "Copied" : "Selected"; },
  }, icon("copy"), label));
}

for (const part of document.querySelectorAll(".try")) {
  part.hidden = false;
  const form = part.querySelector("form");
  form.noValidate = true;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form, part.querySelector(".answer"), form.querySelector("button"));
  });
}

/** send sends what a form says, and shows the answer: status, headers, time and body. */
async function send(form, place, button) {
  const query = new URLSearchParams();
  const headers = {};
  for (const field of form.querySelectorAll("input")) {
    if (field.value === "") continue;
    if ("header" in field.dataset) headers[field.name] = field.value;
    else query.set(field.name, field.value);
  }
  const key = document.getElementById("key").value.trim();
  if ("credential" in form.dataset && key) headers.Authorization = `Bearer ${key}`;
  button.disabled = true;
  const began = performance.now();
  try {
    const answer = await fetch(query.size > 0 ? `${form.dataset.path}?${query}` : form.dataset.path, { headers, cache: "no-store", credentials: key ? "omit" : "same-origin", redirect: "manual", signal: AbortSignal.timeout(60_000) });
    const text = await answer.text();
    const took = Math.round(performance.now() - began);
    place.replaceChildren(
      el("p", {}, el("strong", {}, `${answer.status || "Led elsewhere"} ${answer.statusText}`), ` in ${took} ms, ${text.length.toLocaleString("en")} characters`),
      el("details", {}, el("summary", {}, "Headers"), el("pre", { tabindex: "0" }, el("code", {}, [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n")))),
      el("pre", { tabindex: "0" }, el("code", {}, shown(text))));
  } catch (error) {
    place.replaceChildren(el("p", { class: "field-error" }, error.name === "TimeoutError" ? "The service did not answer within a minute." : "The service cannot be reached. Check your connection and try again."));
  }
  button.disabled = false;
}

/** shown is a body as it is read best, and its beginning when it is long. */
function shown(text) {
  let whole = text;
  try {
    whole = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // It is no JSON, and shown as it is.
  }
  return whole.length > longestShown ? `${whole.slice(0, longestShown)}\n… and ${(whole.length - longestShown).toLocaleString("en")} characters more` : whole;
}
