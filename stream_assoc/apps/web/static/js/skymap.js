// All of the sky, and what every map of it draws: outlines, lines, coverage and visits.

import { colour, leaves, prepared, say, tip } from "./dom.js";
import { degrees } from "./format.js";
import { hammer, inverseHammer } from "./projection.js";

const STEP_DEG = 5;
export const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function outline(context, points, place, longest) {
  let before = null;
  context.beginPath();
  for (const [ra, dec] of points) {
    const spot = place(ra, dec);
    // What crosses the edge of the map or lies behind it is not drawn.
    if (!spot || (before && Math.hypot(spot[0] - before[0], spot[1] - before[1]) > longest)) return false;
    if (before) context.lineTo(...spot);
    else context.moveTo(...spot);
    before = spot;
  }
  context.closePath();
  return true;
}

export function line(context, points, place, longest) {
  let before = null;
  context.beginPath();
  for (const [ra, dec] of points) {
    const spot = place(ra, dec);
    if (spot && before && Math.hypot(spot[0] - before[0], spot[1] - before[1]) < longest) context.lineTo(...spot);
    else if (spot) context.moveTo(...spot);
    before = spot;
  }
  context.stroke();
}

export function drawCoverage(context, sky, place, longest) {
  const most = Math.max(1, ...sky.coverage.map((one) => one.changes));
  context.fillStyle = colour("--cover");
  for (const one of sky.coverage) {
    context.globalAlpha = 0.1 + 0.25 * (Math.log1p(one.changes) / Math.log1p(most));
    if (outline(context, one.outline, place, longest)) context.fill();
  }
  context.globalAlpha = 1;
}

export function drawVisits(context, sky, place, longest, width) {
  context.lineWidth = width;
  // The latest one comes last, on top.
  for (const visit of [...sky.visits].reverse()) {
    context.strokeStyle = colour(`--${visit.band}`);
    context.globalAlpha = 0.75;
    if (outline(context, visit.outline, place, longest)) context.stroke();
  }
  context.globalAlpha = 1;
  context.lineWidth = 1;
}

export function range(low, high, step) {
  const values = [];
  for (let value = low; value <= high + 1e-9; value += step) values.push(value);
  return values;
}

/** All of the sky; a click chooses where the field is. */
export class WholeSky {
  constructor(canvas, onChoose) {
    this.canvas = canvas;
    this.sky = { coverage: [], visits: [] };
    this.field = null;
    canvas.addEventListener("click", (event) => {
      const position = this.#position(event);
      if (position) onChoose(...position);
    });
    canvas.addEventListener("pointermove", (event) => {
      const position = this.#position(event);
      tip(position && `ra ${position[0].toFixed(1)}°, dec ${position[1].toFixed(1)}°`, event);
    });
    canvas.tabIndex = 0;
    canvas.addEventListener("keydown", (event) => {
      const step = ARROWS[event.key];
      if (!step || !this.field) return;
      event.preventDefault();
      const size = event.shiftKey ? STEP_DEG / 5 : STEP_DEG;
      const [ra, dec] = [this.field.ra + step[0] * size, Math.max(-90, Math.min(90, this.field.dec + step[1] * size))];
      onChoose(ra, dec);
      say(`Field at ${degrees(((ra % 360) + 360) % 360, dec)}`);
    });
    leaves(canvas);
  }

  draw() {
    const surface = prepared(this.canvas);
    if (!surface) return;
    const { context, width, height } = surface;
    this.scale = Math.min(width / 4.08, height / 2.04);
    this.middle = [width / 2, height / 2];
    const place = (ra, dec) => {
      const [x, y] = hammer(ra, dec, 180);
      return [this.middle[0] + x * this.scale, this.middle[1] - y * this.scale];
    };
    drawCoverage(context, this.sky, place, this.scale);
    context.strokeStyle = colour("--line");
    for (const dec of range(-60, 60, 30)) line(context, range(0, 360, 4).map((ra) => [ra + 180.001, dec]), place, this.scale);
    for (const ra of range(0, 330, 30)) line(context, range(-90, 90, 4.5).map((dec) => [ra + 0.001, dec]), place, this.scale);
    context.beginPath();
    context.ellipse(...this.middle, 2 * this.scale, this.scale, 0, 0, 2 * Math.PI);
    context.strokeStyle = colour("--soft");
    context.stroke();
    context.fillStyle = colour("--soft");
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const ra of [60, 120, 180, 240, 300]) context.fillText(`${ra}°`, ...place(ra, -6));
    for (const dec of [-60, -30, 30, 60]) context.fillText(`${dec > 0 ? "+" : "−"}${Math.abs(dec)}°`, ...place(180, dec));
    drawVisits(context, this.sky, place, this.scale, 1.2);
    if (this.field) {
      const [x, y] = place(this.field.ra, this.field.dec);
      context.strokeStyle = colour("--ink");
      context.lineWidth = 2;
      context.beginPath();
      context.arc(x, y, 9, 0, 2 * Math.PI);
      context.moveTo(x - 15, y);
      context.lineTo(x - 9, y);
      context.moveTo(x + 9, y);
      context.lineTo(x + 15, y);
      context.stroke();
      context.lineWidth = 1;
    }
  }

  #position(event) {
    if (!this.scale) return null;
    return inverseHammer((event.offsetX - this.middle[0]) / this.scale, (this.middle[1] - event.offsetY) / this.scale, 180);
  }
}
