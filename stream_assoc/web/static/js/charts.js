// Stacked bars on a canvas, drawn anew for each frame that has something new.

import { prepared } from "./canvas.js";
import { colour, tip } from "./dom.js";
import { ticks, tickLabel } from "./format.js";

const LEFT = 52;
const BOTTOM = 22;
const TOP = 8;

/** Bars of batches, one beside the other, each stacked of several series. */
export class StackedBars {
  /** Series are [name, colour variable, value of a batch]; unit names the vertical axis. */
  constructor(canvas, series, unit, describe) {
    this.canvas = canvas;
    this.series = series;
    this.unit = unit;
    this.describe = describe;
    this.batches = [];
    this.colours = null;
    canvas.addEventListener("pointermove", (event) => this.#point(event));
    canvas.addEventListener("pointerleave", () => tip(null));
  }

  /** Forget the colours: the theme has changed. */
  recolour() {
    this.colours = null;
  }

  draw(all) {
    const surface = prepared(this.canvas);
    if (!surface) return;
    const { context, width, height } = surface;
    this.colours ??= {
      series: this.series.map(([, name]) => colour(name)),
      soft: colour("--soft"),
      grid: colour("--grid"),
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
    });
    context.fillStyle = this.colours.soft;
    context.textBaseline = "alphabetic";
    context.textAlign = "left";
    context.fillText(this.unit, LEFT, height - 6);
    context.textAlign = "right";
    context.fillText("latest batch →", width - 4, height - 6);
  }

  #total(batch) {
    return this.series.reduce((sum, [, , value]) => sum + (value(batch) || 0), 0);
  }

  #point(event) {
    const index = Math.floor((event.offsetX - this.start) / this.step);
    const batch = this.batches[index];
    if (!batch || event.offsetX < this.start) {
      tip(null);
      return;
    }
    const parts = this.series.filter(([, , value]) => value(batch) > 0);
    const lines = parts.map(([name, , value]) => `${name}: ${this.describe(value(batch))}`);
    tip([`visit ${batch.visit} detector ${batch.detector}, ${batch.band}`, ...lines].join("\n"), event);
  }
}
