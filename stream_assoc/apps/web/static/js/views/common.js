// What several pages share.

import { ApiError, ask } from "../api.js";
import { h, scroller } from "../dom.js";
import { BANDS, count } from "../format.js";

/** Return a link to an object, or a dash. */
export function objectLink(id) {
  return id === null ? "–" : h("a", { class: "mono", href: `#/object/${id}` }, id);
}

/** Return a link to a source's explanation. */
export function sourceLink(id) {
  return h("a", { class: "mono", href: `#/source/${id}` }, id);
}

/** Return a band with its colour. */
export function bandMark(band) {
  const dot = h("i");
  if (BANDS.includes(band)) dot.style.background = `var(--${band})`;
  return h("span", { class: "band" }, dot, band);
}

/** Return a note in the place of what is not there. */
export function empty(text, command) {
  return h("div", { class: "empty" }, text, command && [h("br"), h("code", null, command)]);
}

/** Return what went wrong, and a button to try again. */
export function failure(error, again) {
  const status = error instanceof ApiError ? error.status : -1;
  const heading = { 0: "Not connected", 400: "Not understood", 403: "Refused", 404: "Not found", 422: "Too much to answer", 503: "The APDB is not available" }[status];
  return h(
    "div",
    { class: "failure", role: "alert" },
    h("strong", null, heading ?? "Something went wrong"),
    h("p", null, error.message),
    ![400, 403, 404, 422].includes(status) && h("button", { type: "button", onclick: again }, "Try again"),
  );
}

/** Return a scrolling table of the first rows, and a button for more of them. */
export function paged(label, rows, size, tableOf, tall = false) {
  const body = scroller(label, tall ? "tall" : "");
  const showFirst = (n) => {
    const left = rows.length - n;
    const more = left > 0 && h("button", { type: "button", onclick: () => showFirst(n + 5 * size) }, `Show more of ${count(left)} others`);
    body.replaceChildren(...[tableOf(rows.slice(0, n)), more].filter(Boolean));
  };
  showFirst(size);
  return body;
}

/** Fill an element with what a question leads to; while it waits and when it fails, say so. Return whether it was answered. */
export async function fillFrom(element, path, signal, show) {
  element.setAttribute("aria-busy", "true");
  if (!element.childElementCount) element.replaceChildren(h("p", { class: "soft" }, "Loading…"));
  try {
    const answer = await ask(path, signal);
    element.replaceChildren(...[show(answer)].flat(Infinity).filter(Boolean));
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    if (!(error instanceof ApiError)) throw error;
    element.replaceChildren(failure(error, () => fillFrom(element, path, signal, show)));
    // One that can be asked again may be answered yet.
    return ![400, 404].includes(error.status);
  } finally {
    element.removeAttribute("aria-busy");
  }
}
