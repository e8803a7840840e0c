// Elements without markup (text is always text, whatever it holds), tips, and sharp canvases.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) element.append(child);
  }
  return element;
}

/** Return an HTML element; properties that begin with "on" are listeners, children are nodes or text. */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** Return an SVG element. */
export function s(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** Return a card with a heading, and beside it whatever belongs there. */
export function card(size, heading, beside, ...children) {
  return h("section", { class: `card ${size}` }, h("div", { class: "head" }, h("h2", null, heading), beside), children);
}

/** Return a table. A column is [heading, function of a row, is number?]; a row may be null for none. */
export function table(columns, rows, ofRow = () => null) {
  const head = columns.map(([heading, , number]) => h("th", { class: number && "number", scope: "col" }, heading));
  const body = rows.map((row) =>
    h("tr", ofRow(row), columns.map(([, cell, kind]) => h("td", { class: kind === true ? "number" : kind }, cell(row)))),
  );
  return h("table", null, h("thead", null, h("tr", null, head)), h("tbody", null, body));
}

/** Return a list of facts from pairs of name and value; those without a value are left out. */
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined);
  return h("dl", { class: "facts" }, known.map(([name, value]) => [h("dt", null, name), h("dd", null, value)]));
}

/** Return an element that scrolls sideways, by keyboard too; its edges show where there is more. */
export function scroller(label, kind, ...children) {
  return h("div", { class: `scroll ${kind}`.trim(), tabindex: 0, role: "region", "aria-label": label }, children);
}

/** Let a screen reader say a text. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

let tipped = null;

/** Show a text beside the pointer, or a point of the window, or hide it with null. */
export function tip(text, event) {
  let element = document.querySelector(".tip");
  if (text === null || text === undefined) {
    element?.remove();
    tipped = null;
    return;
  }
  tipped = event.currentTarget ?? event.target ?? null;
  if (!element) {
    element = h("div", { class: "tip", role: "tooltip" });
    document.body.append(element);
  }
  element.textContent = text;
  const { width, height } = element.getBoundingClientRect();
  const left = Math.min(event.clientX + 14, innerWidth - width - 8);
  const top = event.clientY + 16 + height > innerHeight ? event.clientY - height - 12 : event.clientY + 16;
  element.style.left = `${Math.max(8, left)}px`;
  element.style.top = `${Math.max(8, top)}px`;
}

// What is shown beside a point says nothing any more once the point has moved away under it.
addEventListener("scroll", () => tip(null), { capture: true, passive: true });
addEventListener("blur", () => tip(null));
addEventListener("keydown", (event) => event.key === "Escape" && tip(null));
addEventListener("pointerdown", (event) => tipped instanceof Node && !tipped.contains(event.target) && tip(null));

/** Hide the tip when the pointer leaves an element; a finger leaves it when it is lifted, and then reads. */
export function leaves(element) {
  element.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && tip(null));
  element.addEventListener("pointercancel", () => tip(null));
  element.addEventListener("blur", () => tip(null));
}

/** Return a point of an element as the place for a tip. */
export function placeIn(element, x, y) {
  const box = element.getBoundingClientRect();
  return { clientX: box.left + x, clientY: box.top + y, target: element };
}

/** Return the value of a CSS variable of the present theme. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Return the context of a canvas, cleared and scaled to CSS pixels, with its size; null while it is not shown. */
export function prepared(canvas) {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width || !height) return null;
  const ratio = devicePixelRatio || 1;
  const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== columns || canvas.height !== rows) {
    canvas.width = columns;
    canvas.height = rows;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  return { context, width, height };
}
