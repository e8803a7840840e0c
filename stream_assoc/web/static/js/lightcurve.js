// A light curve: flux against time, a colour and a symbol for each band, bars for errors.

import { s, tip } from "./dom.js";
import { BANDS, mjd, number, tickLabel, ticks, utc } from "./format.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [74, 14, 12, 44];

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

/** Draws points into an SVG element; a drag chooses a stretch of time, a double click shows all again. */
export class LightCurve {
  /** onSource is called with the id of a source that is clicked. */
  constructor(svg, onSource) {
    this.svg = svg;
    this.onSource = onSource;
    this.points = [];
    this.options = { flux: "psfFlux", bands: new Set(BANDS), forced: true };
    this.window = null;
    svg.addEventListener("pointermove", (event) => this.#point(event));
    svg.addEventListener("pointerleave", () => tip(null));
    svg.addEventListener("click", (event) => {
      const found = this.dragged ? null : this.#nearest(event);
      if (found?.diaSourceId) onSource(found.diaSourceId);
    });
    svg.addEventListener("pointerdown", (event) => {
      this.from = this.#x(event);
      this.dragged = false;
    });
    svg.addEventListener("pointerup", (event) => this.#choose(this.#x(event)));
    svg.addEventListener("dblclick", () => {
      this.window = null;
      this.draw();
    });
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
      const text = this.points.length ? "nothing of what is chosen has this flux" : "no source has a flux";
      svg.replaceChildren(s("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, text));
      return;
    }
    const [t0, t1] = padded(shown.map((one) => one.midpointMjdTai), 0.03, 0.01);
    const ends = shown.flatMap((one) => {
      const error = Math.min(one[`${flux}Err`] ?? 0, 20 * Math.abs(one[flux]) || Infinity);
      return [one[flux] - error, one[flux] + error];
    });
    const [f0, f1] = padded(ends, 0.06, 1);
    this.scales = { t0, t1, width };
    const x = (time) => LEFT + ((time - t0) / (t1 - t0)) * (width - LEFT - RIGHT);
    const y = (value) => height - BOTTOM - ((value - f0) / (f1 - f0)) * (height - TOP - BOTTOM);
    const inside = s("g", { "clip-path": "url(#curve-clip)" });
    this.spots = shown.map((one) => [x(one.midpointMjdTai), y(one[flux]), one]);
    for (const isForced of [true, false]) {
      for (const band of BANDS) this.#band(inside, band, isForced, flux, x, y);
    }
    const clip = s("rect", { x: LEFT, y: TOP - 6, width: width - LEFT - RIGHT + 6, height: height - TOP - BOTTOM + 12 });
    svg.replaceChildren(
      s("title", null, `Light curve of ${shown.length} points: ${flux} in nJy against MJD TAI`),
      s("defs", null, s("clipPath", { id: "curve-clip" }, clip)),
      ...axes({ t0, t1, f0, f1, x, y, width, height, flux }),
      inside,
    );
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

  #choose(to) {
    if (this.from === undefined || !this.scales || Math.abs(to - this.from) < 12) return;
    this.dragged = true;
    const { t0, t1, width } = this.scales;
    const time = (place) => t0 + ((place - LEFT) / (width - LEFT - RIGHT)) * (t1 - t0);
    this.window = [time(this.from), time(to)].sort((a, b) => a - b);
    this.from = undefined;
    this.draw();
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
    const { flux } = this.options;
    const kind = one.isForced ? "forced photometry" : `DIASource ${one.diaSourceId}`;
    const value = `${flux} ${number(one[flux])} ± ${number(one[`${flux}Err`], 3)} nJy, ${one.band}`;
    tip(`${value}\n${mjd(one.midpointMjdTai)} (${utc(one.midpointMjdTai)})\nvisit ${one.visit} detector ${one.detector}\n${kind}`, event);
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

function axes({ t0, t1, f0, f1, x, y, width, height, flux }) {
  const times = ticks(t0, t1, Math.max(3, Math.floor((width - LEFT) / 110)));
  const step = times.length > 1 ? times[1] - times[0] : 1;
  // Of long numbers the part that all share goes to the label.
  const base = step < 0.5 ? Math.floor(t0) : 0;
  const fluxes = ticks(f0, f1, Math.max(3, Math.floor((height - TOP - BOTTOM) / 55)));
  const fluxStep = fluxes.length > 1 ? fluxes[1] - fluxes[0] : 1;
  const bottom = height - BOTTOM;
  return [
    ...fluxes.map((value) => s("path", { class: value === 0 ? "zero" : "grid-line", d: `M${LEFT} ${y(value)}H${width - RIGHT}` })),
    ...fluxes.map((value) => s("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, tickLabel(value, fluxStep))),
    ...times.map((value) => s("path", { class: "axis", d: `M${x(value)} ${bottom}v5` })),
    ...times.map((value) => s("text", { x: x(value), y: bottom + 18, "text-anchor": "middle" }, base ? tickLabel(value - base, step) : String(Number(value.toFixed(1))))),
    s("path", { class: "axis", d: `M${LEFT} ${TOP}V${bottom}H${width - RIGHT}` }),
    s("text", { x: (LEFT + width - RIGHT) / 2, y: height - 6, "text-anchor": "middle" }, base ? `MJD TAI − ${base} (days)` : "MJD TAI (days)"),
    s("text", { transform: `translate(14 ${(TOP + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, `${flux} (nJy)`),
  ];
}
