// A light curve: flux against time, a colour and a symbol for each band, bars for errors.

import { leaves, placeIn, s, say, tip } from "./dom.js";
import { BANDS, mjd, number, tickLabel, ticks, utc } from "./format.js";

const [RIGHT, TOP, BOTTOM] = [14, 12, 44];
// The label of the axis, its rotated line of text, and a gap; then come the labels of the ticks.
const [BESIDE, PER_CHARACTER] = [40, 7.2];
const LEAST_DRAG = 12;

function polygon(x, y, size, corners, turn, inner = 1) {
  const n = inner === 1 ? corners : 2 * corners;
  const points = Array.from({ length: n }, (_, k) => {
    const radius = inner !== 1 && k % 2 ? size * inner : size;
    const angle = (2 * Math.PI * k) / n - Math.PI / 2 + turn;
    return `${(x + radius * Math.cos(angle)).toFixed(1)} ${(y + radius * Math.sin(angle)).toFixed(1)}`;
  });
  return `M${points.join("L")}Z`;
}

// Rubin's symbols, so that bands differ without colour too.
const SYMBOLS = {
  u: (x, y, r) => `M${(x - r).toFixed(1)} ${y.toFixed(1)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
  g: (x, y, r) => polygon(x, y, r * 1.25, 3, 0),
  r: (x, y, r) => polygon(x, y, r * 1.25, 3, Math.PI),
  i: (x, y, r) => polygon(x, y, r * 1.25, 4, Math.PI / 4),
  z: (x, y, r) => polygon(x, y, r * 1.5, 5, 0, 0.45),
  y: (x, y, r) => polygon(x, y, r * 1.15, 5, 0),
};

/** Return a small picture of a band's symbol. */
export function symbol(band) {
  const path = s("path", { d: SYMBOLS[band](7, 7, 4.2), fill: `var(--${band})` });
  const picture = s("svg", { viewBox: "0 0 14 14", width: 14, height: 14, "aria-hidden": "true" }, path);
  picture.style.width = "14px";
  return picture;
}

/** Draws points into an SVG element; a drag zooms into a stretch of time, and each zoom can be undone. */
export class LightCurve {
  /** onSource is called with the id of a source that is clicked, onWindow with the stretch shown, null for all. */
  constructor(svg, onSource, onWindow = () => {}) {
    this.svg = svg;
    this.onSource = onSource;
    this.onWindow = onWindow;
    this.points = [];
    this.options = { flux: "psfFlux", bands: new Set(BANDS), forced: true };
    this.windows = [];
    this.marked = null;
    svg.setAttribute("tabindex", "0");
    leaves(svg);
    svg.addEventListener("pointermove", (event) => this.#move(event));
    svg.addEventListener("click", (event) => {
      const found = this.dragged ? null : this.#nearest(event);
      // A finger reads first; the table below has the links.
      if (found?.diaSourceId && event.pointerType !== "touch") onSource(found.diaSourceId);
    });
    svg.addEventListener("pointerdown", (event) => {
      this.dragged = false;
      this.#move(event);
      if (event.button === 0) {
        this.from = this.#x(event);
        svg.setPointerCapture(event.pointerId);
      }
    });
    svg.addEventListener("pointerup", (event) => this.#choose(this.#x(event)));
    svg.addEventListener("pointercancel", () => this.#choose(this.from));
    svg.addEventListener("dblclick", () => this.all());
    svg.addEventListener("keydown", (event) => this.#key(event));
    svg.addEventListener("blur", () => this.#mark(null));
  }

  get window() {
    return this.windows.at(-1) ?? null;
  }

  /** Show all of the time. */
  all() {
    this.#show([]);
  }

  /** Undo the last choice of a stretch of time. */
  back() {
    this.#show(this.windows.slice(0, -1));
  }

  #show(windows) {
    this.windows = windows;
    tip(null);
    this.draw();
    this.onWindow(this.window);
  }

  /** Take the answer of the server. */
  take({ sources, forced }) {
    const counted = sources.filter((one) => one.timeWithdrawnMjdTai === null);
    const forcedCounted = forced.filter((one) => one.timeWithdrawnMjdTai === null);
    this.points = [
      ...forcedCounted.map((one) => ({ ...one, isForced: true })),
      ...counted.map((one) => ({ ...one, isForced: false })),
    ];
  }

  draw() {
    const { svg } = this;
    const [width, height] = [svg.clientWidth || 640, svg.clientHeight || 360];
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const { flux, bands, forced } = this.options;
    const usable = this.points.filter(
      (one) => one[flux] !== null && bands.has(one.band) && (forced || !one.isForced),
    );
    const shown = this.window
      ? usable.filter((one) => one.midpointMjdTai >= this.window[0] && one.midpointMjdTai <= this.window[1])
      : usable;
    if (!shown.length) {
      this.spots = [];
      this.scales = null;
      const chosen = this.window ? "no point in this stretch of time" : "no selected point has this flux";
      const text = this.points.length ? chosen : "no source has a flux";
      svg.replaceChildren(s("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, text));
      return;
    }
    const [t0, t1] = padded(shown.map((one) => one.midpointMjdTai), 0.03, 0.01);
    const ends = shown.flatMap((one) => {
      const error = Math.min(one[`${flux}Err`] ?? 0, 20 * Math.abs(one[flux]) || Infinity);
      return [one[flux] - error, one[flux] + error];
    });
    const [f0, f1] = padded(ends, 0.06, 1);
    const labels = fluxTicks(f0, f1, height);
    const left = BESIDE + PER_CHARACTER * Math.max(...labels.map(([, text]) => text.length));
    this.scales = { t0, t1, width, left };
    const x = (time) => left + ((time - t0) / (t1 - t0)) * (width - left - RIGHT);
    const y = (value) => height - BOTTOM - ((value - f0) / (f1 - f0)) * (height - TOP - BOTTOM);
    const inside = s("g", { "clip-path": "url(#curve-clip)" });
    this.spots = shown.map((one) => [x(one.midpointMjdTai), y(one[flux]), one]);
    for (const isForced of [true, false]) {
      for (const band of BANDS) this.#band(inside, band, isForced, flux, x, y);
    }
    const clip = s("rect", { x: left, y: TOP - 6, width: width - left - RIGHT + 6, height: height - TOP - BOTTOM + 12 });
    this.marker = s("circle", { class: "marked", r: 9, visibility: "hidden" });
    this.rectangle = s("rect", { class: "chosen", y: TOP, height: height - TOP - BOTTOM, visibility: "hidden" });
    svg.replaceChildren(
      s("title", null, `Light curve of ${shown.length} points: ${flux} in nJy against MJD TAI`),
      s("defs", null, s("clipPath", { id: "curve-clip" }, clip)),
      ...axes({ t0, t1, labels, left, x, y, width, height, flux }),
      inside,
      this.marker,
      this.rectangle,
    );
    this.#mark(this.marked);
  }

  #band(group, band, isForced, flux, x, y) {
    const points = this.spots.filter(([, , one]) => one.band === band && one.isForced === isForced);
    if (!points.length) return;
    const radius = points.length > 400 ? 2.6 : 4;
    let [bars, marks] = ["", ""];
    for (const [px, py, one] of points) {
      const error = one[`${flux}Err`];
      if (error > 0) bars += `M${px.toFixed(1)} ${y(one[flux] - error).toFixed(1)}V${y(one[flux] + error).toFixed(1)}`;
      marks += SYMBOLS[band](px, py, isForced ? radius * 0.8 : radius);
    }
    const paint = `var(--${band})`;
    group.append(s("path", { d: bars, stroke: paint, "stroke-opacity": isForced ? 0.35 : 0.55, fill: "none" }));
    const look = isForced ? { fill: "var(--card)", stroke: paint } : { fill: paint, stroke: "var(--card)", "stroke-width": 0.6 };
    group.append(s("path", { d: marks, "data-band": band, "data-forced": isForced ? "yes" : "no", ...look }));
  }

  #x(event) {
    return event.clientX - this.svg.getBoundingClientRect().left;
  }

  #stretch(to) {
    const { left, width } = this.scales;
    return [this.from, to].map((place) => Math.max(left, Math.min(width - RIGHT, place))).sort((a, b) => a - b);
  }

  #choose(to) {
    const isLong = this.from !== undefined && this.scales && Math.abs(to - this.from) >= LEAST_DRAG;
    const stretch = isLong ? this.#stretch(to) : null;
    this.from = undefined;
    this.rectangle?.setAttribute("visibility", "hidden");
    if (!isLong) return;
    this.dragged = true;
    const { t0, t1, width, left } = this.scales;
    this.#show([...this.windows, stretch.map((place) => t0 + ((place - left) / (width - left - RIGHT)) * (t1 - t0))]);
  }

  #move(event) {
    if (this.from === undefined || !this.scales) {
      this.#point(event);
      return;
    }
    const [low, high] = this.#stretch(this.#x(event));
    if (high - low >= LEAST_DRAG) tip(null);
    this.rectangle.setAttribute("x", low);
    this.rectangle.setAttribute("width", high - low);
    this.rectangle.setAttribute("visibility", high - low >= LEAST_DRAG ? "visible" : "hidden");
  }

  #mark(one) {
    this.marked = one;
    const spot = (this.spots ?? []).find(([, , other]) => other === one);
    this.marker?.setAttribute("visibility", spot ? "visible" : "hidden");
    if (!spot) return null;
    this.marker.setAttribute("cx", spot[0]);
    this.marker.setAttribute("cy", spot[1]);
    return spot;
  }

  #key(event) {
    const spots = [...(this.spots ?? [])].sort((a, b) => a[0] - b[0]);
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Enter" && this.marked?.diaSourceId) this.onSource(this.marked.diaSourceId);
    else if (event.key === "+" && this.scales) this.#zoom();
    else if (event.key === "-" || event.key === "Backspace") this.back();
    else if (event.key === "0") this.all();
    else if (step !== undefined && spots.length) {
      const now = spots.findIndex(([, , one]) => one === this.marked);
      const from = now < 0 && step === -1 ? spots.length : now;
      const index = Math.max(0, Math.min(spots.length - 1, from + step));
      const [x, y, one] = this.#mark(spots[index][2]);
      tip(this.#text(one), placeIn(this.svg, x, y));
      say(`Point ${index + 1} of ${spots.length}: ${this.#text(one)}`);
    } else return;
    event.preventDefault();
  }

  // Half of the time shown, round the point that is marked or the middle.
  #zoom() {
    const { t0, t1 } = this.scales;
    const middle = this.marked?.midpointMjdTai ?? (t0 + t1) / 2;
    this.#show([...this.windows, [middle - (t1 - t0) / 4, middle + (t1 - t0) / 4]]);
  }

  #nearest(event) {
    const box = this.svg.getBoundingClientRect();
    let [best, least] = [null, 18];
    for (const [x, y, one] of this.spots ?? []) {
      const distance = Math.hypot(x - (event.clientX - box.left), y - (event.clientY - box.top));
      if (distance < least) [best, least] = [one, distance];
    }
    return best;
  }

  #point(event) {
    const one = this.#nearest(event);
    this.svg.style.cursor = one?.diaSourceId ? "pointer" : "";
    if (!one) {
      tip(null);
      return;
    }
    tip(this.#text(one), event);
  }

  #text(one) {
    const { flux } = this.options;
    const kind = one.isForced ? "forced photometry" : `DIASource ${one.diaSourceId}`;
    const value = `${flux} ${number(one[flux])} ± ${number(one[`${flux}Err`], 3)} nJy, ${one.band}`;
    return `${value}\n${mjd(one.midpointMjdTai)} (${utc(one.midpointMjdTai)})\nvisit ${one.visit} detector ${one.detector}\n${kind}`;
  }
}

function padded(values, share, least) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const room = Math.max((high - low) * share, high === low ? least : 0);
  return [low - room, high + room];
}

function fluxTicks(f0, f1, height) {
  const fluxes = ticks(f0, f1, Math.max(3, Math.floor((height - TOP - BOTTOM) / 55)));
  const step = fluxes.length > 1 ? fluxes[1] - fluxes[0] : 1;
  return fluxes.map((value) => [value, tickLabel(value, step)]);
}

function axes({ t0, t1, labels, left, x, y, width, height, flux }) {
  let times = ticks(t0, t1, Math.max(3, Math.floor((width - left) / 110)));
  for (let about = 4; times.length < 2 && about < 9; about += 1) times = ticks(t0, t1, about);
  const step = times.length > 1 ? times[1] - times[0] : 1;
  // Of long numbers the part that all share goes to the label.
  const base = step < 0.5 ? Math.floor(t0) : 0;
  const bottom = height - BOTTOM;
  return [
    ...labels.map(([value]) => s("path", { class: value === 0 ? "zero" : "grid-line", d: `M${left} ${y(value)}H${width - RIGHT}` })),
    ...labels.map(([value, text]) => s("text", { class: "tick", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, text)),
    ...times.map((value) => s("path", { class: "axis", d: `M${x(value)} ${bottom}v5` })),
    ...times.map((value) => s("text", { x: x(value), y: bottom + 18, "text-anchor": "middle" }, base ? tickLabel(value - base, step) : String(Number(value.toFixed(1))))),
    s("path", { class: "axis", d: `M${left} ${TOP}V${bottom}H${width - RIGHT}` }),
    s("text", { x: (left + width - RIGHT) / 2, y: height - 6, "text-anchor": "middle" }, base ? `MJD TAI − ${base} (days)` : "MJD TAI (days)"),
    s("text", { class: "axis-label", transform: `translate(14 ${(TOP + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, `${flux} (nJy)`),
  ];
}
