// What a key may do: the fields that ask for it, and the words that tell it.

import { el, uniqueId } from "../dom.js";
import { invalidForm, setFieldError } from "../dialog.js";

const scopes = [
  ["last_seen", "Newest points"], ["history", "History"], ["sessions", "Sessions"],
];

/** limitWords tells the limits of a key in a few words, and nothing when it has none. */
export function limitWords(record) {
  const ranges = record.allowed_ip_ranges ?? [];
  const words = [
    record.scopes && scopes.filter(([name]) => record.scopes.includes(name)).map(([, text]) => text).join(", "),
    ranges.length === 1 ? `from ${ranges[0]}` : ranges.length > 1 && `from ${ranges.length} ranges`,
    record.requests_per_second && `${record.requests_per_second} a second`,
  ].filter(Boolean);
  return words.join(" · ");
}

/**
 * limitFields makes the fields. Without a record nothing is limited yet; with one they can only be narrowed. read() returns
 * what is limited, or changed, or shows what is wrong and throws invalidForm. fields are those of the request's body.
 */
export function limitFields(record) {
  const ids = { ranges: uniqueId("ranges"), rate: uniqueId("rate") };
  const had = record?.scopes ?? scopes.map(([name]) => name);
  const boxes = scopes.map(([name, text]) => {
    const box = el("input", { type: "checkbox", name: "scopes", value: name, checked: had.includes(name), disabled: !had.includes(name) });
    return { name, box, element: el("label", { class: "check" }, box, text) };
  });
  const before = (record?.allowed_ip_ranges ?? []).join("\n");
  const ranges = el("textarea", { class: "input mono", id: ids.ranges, name: "allowed_ip_ranges", rows: "3", spellcheck: "false", placeholder: "192.0.2.0/24", "aria-describedby": `${ids.ranges}-hint ${ids.ranges}-error` }, before);
  const rate = el("input", { class: "input", id: ids.rate, name: "requests_per_second", type: "number", min: "1", max: "1000000", value: record?.requests_per_second, "aria-describedby": `${ids.rate}-error` });
  const scopesError = errorLine(uniqueId("scopes-error"));
  const rangesError = errorLine(`${ids.ranges}-error`);
  const rateError = errorLine(`${ids.rate}-error`);
  const optional = el("span", { class: "optional" }, "(optional)");
  const element = el("details", { class: "limits", open: Boolean(record && limitWords(record)) },
    el("summary", {}, record ? "Narrow what it may do" : "Limit what it may do"),
    el("fieldset", { class: "field" }, el("legend", { class: "field-label" }, "For"), el("div", { class: "checks" }, boxes.map((b) => b.element)), scopesError),
    el("div", { class: "field" }, el("label", { for: ids.ranges }, "From these addresses ", optional), ranges,
      el("p", { class: "hint", id: `${ids.ranges}-hint` }, "A range on each line, in CIDR notation, at most 20."), rangesError),
    el("div", { class: "field" }, el("label", { for: ids.rate }, "Requests a second ", optional.cloneNode(true)), rate, rateError));

  const read = () => {
    for (const line of [scopesError, rangesError, rateError]) line.hidden = true;
    const chosen = boxes.filter(({ box }) => box.checked).map(({ name }) => name);
    if (chosen.length === 0) {
      element.open = true;
      setFieldError(boxes.find(({ box }) => !box.disabled).box, scopesError, "Choose at least one.");
      throw invalidForm;
    }
    const body = {};
    if (chosen.length < had.length) body.scopes = chosen;
    if (ranges.value.trim() !== before) body.allowed_ip_ranges = ranges.value.split(/[\s,]+/).filter(Boolean);
    if (rate.value !== String(record?.requests_per_second ?? "")) body.requests_per_second = Number(rate.value);
    return body;
  };
  const shown = (input, line) => ({ showError: (sentence) => { element.open = true; setFieldError(input, line, sentence); } });
  return { element, read, fields: { scopes: shown(boxes[0].box, scopesError), allowed_ip_ranges: shown(ranges, rangesError), requests_per_second: shown(rate, rateError) } };
}

function errorLine(id) {
  return el("p", { class: "field-error", id, hidden: true });
}
