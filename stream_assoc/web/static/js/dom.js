// Elements without markup: text is always text, whatever it holds.

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

/** Show a text beside the pointer, or hide it with null. */
export function tip(text, event) {
  let element = document.querySelector(".tip");
  if (text === null) {
    element?.remove();
    return;
  }
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

/** Return the value of a CSS variable of the present theme. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
