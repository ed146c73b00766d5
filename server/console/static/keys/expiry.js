// The field that asks when a key shall expire.

import { el, uniqueId } from "../dom.js";
import { invalidForm, setFieldError } from "../dialog.js";
import { moment } from "../format.js";

const day = 86_400_000;
const longest = 5 * 365 * day;

const choices = [["30", "30 days"], ["60", "60 days"], ["90", "90 days"], ["365", "One year"], ["date", "On a date…"]];

/**
 * expiryField makes the field. read() returns the chosen moment as RFC 3339 text, or shows what is
 * wrong and throws invalidForm. showError(sentence) shows what the service said of it.
 */
export function expiryField({ label = "Expires" } = {}) {
  const ids = { select: uniqueId("expiry"), date: uniqueId("expiry-date"), hint: uniqueId("expiry-hint"), error: uniqueId("expiry-error") };
  const select = el("select", { class: "input", id: ids.select, "aria-describedby": `${ids.hint} ${ids.error}` },
    choices.map(([value, text]) => el("option", { value, selected: value === "90" }, text)));
  const dateInput = el("input", {
    class: "input", id: ids.date, type: "date", min: localDay(Date.now()), max: localDay(Date.now() + longest - day),
    "aria-label": "Expiry date", "aria-describedby": `${ids.hint} ${ids.error}`, hidden: true,
  });
  const hint = el("p", { class: "hint", id: ids.hint, "aria-live": "polite" });
  const error = el("p", { class: "field-error", id: ids.error, hidden: true });
  const byDate = () => select.value === "date";
  const current = () => (byDate() ? dateInput : select);

  const chosen = () => {
    if (!byDate()) return new Date(Date.now() + Number(select.value) * day);
    const [year, month, dayOfMonth] = dateInput.value.split("-").map(Number);
    return year ? new Date(year, month - 1, dayOfMonth, 23, 59, 59) : null;
  };
  const update = () => {
    dateInput.hidden = !byDate();
    setFieldErrorQuietly();
    const when = chosen();
    hint.textContent = when ? moment(when) : "The key works until the end of that day.";
  };
  const setFieldErrorQuietly = () => {
    error.hidden = true;
    select.removeAttribute("aria-invalid");
    dateInput.removeAttribute("aria-invalid");
  };
  select.addEventListener("change", () => {
    update();
    if (byDate()) dateInput.focus();
  });
  dateInput.addEventListener("input", update);
  update();

  const showError = (sentence) => setFieldError(current(), error, sentence);
  const read = () => {
    const when = chosen();
    const complaint = !when ? "Choose a date."
      : when <= new Date() ? "Choose a date that is not over yet."
      : when - Date.now() > longest ? "Choose a date at most five years from now." : null;
    if (complaint) {
      showError(complaint);
      throw invalidForm;
    }
    return when.toISOString();
  };
  const element = el("div", { class: "field" }, el("label", { for: ids.select }, label), select, dateInput, hint, error);
  return { element, read, showError };
}

/** localDay writes a day of the browser's time zone as a date field wants it. */
function localDay(milliseconds) {
  const when = new Date(milliseconds);
  const pad = (n) => String(n).padStart(2, "0");
  return `${when.getFullYear()}-${pad(when.getMonth() + 1)}-${pad(when.getDate())}`;
}
