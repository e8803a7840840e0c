// Questions to the server, and what several pages show.

import { h, scroller } from "../dom.js";
import { BANDS, count } from "../format.js";

/** The error message of the server, with its status; 0 when it did not answer. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Return the answer to a question, or throw an ApiError. Ids are strings and stay so. */
export async function ask(path, signal) {
  let response;
  try {
    response = await fetch(`/api/${path}`, { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The dashboard's server does not answer.", 0);
  }
  let answer;
  try {
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(`The dashboard's server answers ${response.status} ${response.statusText}.`, response.status);
  }
  if (!response.ok) throw new ApiError(answer.error ?? response.statusText, response.status);
  return answer;
}

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

/** Return a note for an empty place. */
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
    const more = left > 0 && h("button", { type: "button", onclick: () => showFirst(n + 5 * size) }, `Show more (${count(left)} left)`);
    body.replaceChildren(...[tableOf(rows.slice(0, n)), more].filter(Boolean));
  };
  showFirst(size);
  return body;
}

/** Fill an element with the answer to a question; meanwhile show that it loads, and a failure if there is one. Return whether it was answered. */
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
    // Another try may still be answered.
    return ![400, 404].includes(error.status);
  } finally {
    element.removeAttribute("aria-busy");
  }
}
