// Stacked bars on a canvas, drawn anew for each frame that has something new.

import { colour, leaves, placeIn, prepared, say, tip } from "./dom.js";
import { clock, ticks, tickLabel } from "./format.js";

const LEFT = 52;
const BOTTOM = 24;
const TOP = 24;
const APART = 84;

/** Bars of batches, one beside the other, each stacked of several series. */
export class StackedBars {
  /** Series are [name, colour variable, value of a batch]; unit names the vertical axis. */
  constructor(canvas, series, unit, describe, onBatch) {
    this.canvas = canvas;
    this.series = series;
    this.unit = unit;
    this.describe = describe;
    this.batches = [];
    this.colours = null;
    this.onBatch = onBatch;
    this.chosen = null;
    canvas.tabIndex = 0;
    for (const name of ["pointermove", "pointerdown"]) canvas.addEventListener(name, (event) => this.#point(event));
    canvas.addEventListener("click", (event) => {
      const batch = this.#under(event);
      if (batch && event.pointerType !== "touch") onBatch(batch);
    });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => {
      this.chosen = null;
      this.draw(this.all ?? []);
    });
    leaves(canvas);
  }

  /** Forget the colours: the theme has changed. */
  recolour() {
    this.colours = null;
  }

  draw(all) {
    this.all = all;
    const surface = prepared(this.canvas);
    if (!surface) return;
    const { context, width, height } = surface;
    this.colours ??= {
      series: this.series.map(([, name]) => colour(name)),
      soft: colour("--soft"),
      grid: colour("--grid"),
      ink: colour("--ink"),
    };
    const shown = Math.max(24, Math.floor((width - LEFT) / 7));
    this.batches = all.slice(-shown);
    this.step = (width - LEFT - 4) / shown;
    let top = 0;
    for (const batch of this.batches) top = Math.max(top, this.#total(batch));
    const marks = ticks(0, top || 1, 5);
    const stepOfMarks = marks.length > 1 ? marks[1] - marks[0] : 1;
    const limit = Math.max(top, marks.at(-1)) * 1.04 || 1;
    const y = (value) => height - BOTTOM - (value / limit) * (height - BOTTOM - TOP);
    context.fillStyle = this.colours.soft;
    context.strokeStyle = this.colours.grid;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const mark of marks) {
      context.beginPath();
      context.moveTo(LEFT, Math.round(y(mark)) + 0.5);
      context.lineTo(width, Math.round(y(mark)) + 0.5);
      context.stroke();
      context.fillText(tickLabel(mark, stepOfMarks), LEFT - 7, y(mark));
    }
    const start = width - 4 - this.batches.length * this.step;
    this.start = start;
    this.batches.forEach((batch, index) => {
      let below = 0;
      this.series.forEach(([, , value], which) => {
        const amount = value(batch);
        if (!(amount > 0)) return;
        context.fillStyle = this.colours.series[which];
        const high = y(below + amount);
        context.fillRect(start + index * this.step, high, Math.max(1, this.step - 1), y(below) - high);
        below += amount;
      });
      if (batch === this.chosen) {
        context.strokeStyle = this.colours.ink;
        context.strokeRect(start + index * this.step - 1, y(below) - 1, this.step + 1, height - BOTTOM - y(below) + 2);
      }
    });
    this.#times(context, height);
    context.textBaseline = "alphabetic";
    context.textAlign = "left";
    context.fillText(this.unit, 4, 12);
    context.textAlign = "right";
    context.fillText("processed at (UTC)", width - 4, 12);
  }

  // Bars stand in the order of processing, each as wide as any other: a label says when its bar was processed.
  #times(context, height) {
    const each = Math.max(1, Math.ceil(APART / this.step));
    const labels = [];
    for (let k = this.batches.length - 1; k >= 0; k -= each) labels.push(k);
    context.fillStyle = this.colours.soft;
    context.strokeStyle = this.colours.soft;
    context.textBaseline = "alphabetic";
    context.textAlign = "right";
    this.canvas.dataset.times = labels.map((k) => clock(this.batches[k].timeProcessedMjdTai)).join(" ");
    for (const k of labels) {
      const right = this.start + (k + 1) * this.step - 1;
      if (right < APART) continue;
      context.beginPath();
      context.moveTo(Math.round(right - this.step / 2) + 0.5, height - BOTTOM);
      context.lineTo(Math.round(right - this.step / 2) + 0.5, height - BOTTOM + 5);
      context.stroke();
      context.fillText(clock(this.batches[k].timeProcessedMjdTai), right, height - 6);
    }
  }

  #total(batch) {
    return this.series.reduce((sum, [, , value]) => sum + (value(batch) || 0), 0);
  }

  #under(event) {
    return event.offsetX < this.start ? undefined : this.batches[Math.floor((event.offsetX - this.start) / this.step)];
  }

  #text(batch) {
    const parts = this.series.filter(([, , value]) => value(batch) > 0);
    const lines = parts.map(([name, , value]) => `${name}: ${this.describe(value(batch))}`);
    const head = `visit ${batch.visit} detector ${batch.detector}, ${batch.band}, ${clock(batch.timeProcessedMjdTai)} UTC`;
    return [head, ...lines].join("\n");
  }

  #point(event) {
    const batch = this.#under(event);
    tip(batch ? this.#text(batch) : null, event);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Enter" && this.chosen) this.onBatch(this.chosen);
    if (step === undefined || !this.batches.length) return;
    event.preventDefault();
    const last = this.batches.length - 1;
    const now = this.chosen ? this.batches.indexOf(this.chosen) : last + 1;
    const index = Math.max(0, Math.min(last, now + step));
    this.chosen = this.batches[index];
    this.draw(this.all);
    tip(this.#text(this.chosen), placeIn(this.canvas, this.start + index * this.step, TOP));
    say(this.#text(this.chosen));
  }
}
