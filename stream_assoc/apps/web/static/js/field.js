// A field of some degrees of the sky that can be moved and zoomed.

import { colour, leaves, placeIn, prepared, say, tip } from "./dom.js";
import { degrees, ticks } from "./format.js";
import { gnomonic, inverseGnomonic } from "./projection.js";
import { ARROWS, drawCoverage, drawVisits, line, range } from "./skymap.js";

const SMALLEST_DEG = 0.002;
const LARGEST_DEG = 20;

/** Return a round length in degrees and its name, at most as long as a given one. */
export function scaleLength(most) {
  const lengths = [1, 2, 5].flatMap((n) => [[n / 3600, `${n}″`], [(10 * n) / 3600, `${10 * n}″`], [n / 60, `${n}′`], [(10 * n) / 60, `${10 * n}′`], [n, `${n}°`], [10 * n, `${10 * n}°`]]);
  const fitting = lengths.filter(([length]) => length <= most).sort((a, b) => a[0] - b[0]);
  return fitting.at(-1) ?? [1 / 3600, "1″"];
}

/** A field round a position, radius degrees from its middle to its nearest edge. */
export class FieldOfSky {
  constructor(canvas, { onMove, onObject }) {
    this.canvas = canvas;
    this.sky = { coverage: [], visits: [] };
    this.objects = null;
    this.ra = 0;
    this.dec = 0;
    this.radius = 1;
    this.onMove = onMove;
    this.isLoading = true;
    this.isPlaced = false;
    this.marked = null;
    this.onObject = onObject;
    this.pointers = new Map();
    canvas.tabIndex = 0;
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#mark(null));
    leaves(canvas);
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => {
        const dragged = this.dragged;
        this.pointers.delete(event.pointerId);
        if (name === "pointerup" && !dragged) {
          const found = this.#nearest(event);
          if (found === null) return;
          // A finger reads first, and opens with the second touch.
          if (event.pointerType !== "touch" || this.marked === found) onObject(this.objects.diaObjectId[found]);
          else this.#tell(found);
        }
      });
    }
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(Math.exp(Math.sign(event.deltaY) * 0.18));
      },
      { passive: false },
    );
  }

  look(ra, dec, radius = this.radius) {
    this.isPlaced = true;
    this.ra = ((ra % 360) + 360) % 360;
    this.dec = Math.max(-90, Math.min(90, dec));
    this.radius = Math.max(SMALLEST_DEG, Math.min(LARGEST_DEG, radius));
    this.onMove();
  }

  zoom(factor) {
    this.look(this.ra, this.dec, this.radius * factor);
  }

  draw() {
    const surface = prepared(this.canvas);
    if (!surface) return;
    const { context, width, height } = surface;
    this.scale = Math.min(width, height) / 2 / this.radius;
    this.middle = [width / 2, height / 2];
    const place = (ra, dec) => {
      const point = gnomonic(ra, dec, this.ra, this.dec);
      return point && [this.middle[0] + point[0] * this.scale, this.middle[1] - point[1] * this.scale];
    };
    if (!this.isPlaced) {
      context.textAlign = "center";
      if (this.isLoading) this.#label(context, "Loading…", width / 2, height / 2);
      return;
    }
    const longest = 60 * Math.max(width, height);
    drawCoverage(context, this.sky, place, longest);
    const labels = this.#graticule(context, place, width, height);
    drawVisits(context, this.sky, place, longest, 1);
    this.#dots(context, place, width, height);
    labels();
    context.textBaseline = "alphabetic";
    context.textAlign = "left";
    this.#label(context, "N ↑  E ←", 9, 17);
    this.#scale(context, width, height);
    if (this.isLoading) {
      context.textAlign = "center";
      this.#label(context, "Loading…", width / 2, 17);
    }
  }

  #scale(context, width, height) {
    const [length, name] = scaleLength((0.25 * width) / this.scale);
    const [x, y] = [12, height - 26];
    this.canvas.dataset.scale = name;
    for (const [paint, thickness] of [["--sky", 5], ["--ink", 2]]) {
      context.strokeStyle = colour(paint);
      context.lineWidth = thickness;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + length * this.scale, y);
      context.stroke();
    }
    context.lineWidth = 1;
    this.#label(context, name, x, y - 6);
  }

  #text(k) {
    const n = this.objects.nDiaSources[k];
    return `DIAObject ${this.objects.diaObjectId[k]}\n${degrees(this.objects.ra[k], this.objects.dec[k])}\n${n} source${n === 1 ? "" : "s"}`;
  }

  #mark(k) {
    this.marked = k;
    this.draw();
  }

  #tell(k) {
    this.#mark(k);
    const spot = this.spots.find(([, , other]) => other === k);
    if (spot) tip(this.#text(k), placeIn(this.canvas, spot[0], spot[1]));
    say(this.#text(k));
  }

  // Arrows move, + and − zoom, n and p go through the objects from the middle outwards, Enter opens one.
  #key(event) {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const cos = Math.max(0.02, Math.cos((this.dec * Math.PI) / 180));
      tip(null);
      this.marked = null;
      this.look(this.ra + (arrow[0] * this.radius) / 4 / cos, this.dec + (arrow[1] * this.radius) / 4);
      say(`Field at ${degrees(this.ra, this.dec)}, radius ${this.radius.toPrecision(2)}°`);
    } else if (event.key === "+" || event.key === "-") {
      this.zoom(event.key === "+" ? 1 / 1.6 : 1.6);
      say(`Radius ${this.radius.toPrecision(2)}°`);
    } else if ((event.key === "n" || event.key === "p") && this.spots?.length) {
      const far = ([x, y]) => Math.hypot(x - this.middle[0], y - this.middle[1]);
      const order = [...this.spots].sort((a, b) => far(a) - far(b)).map(([, , k]) => k);
      const now = order.indexOf(this.marked);
      this.#tell(order[Math.max(0, Math.min(order.length - 1, now + (event.key === "n" ? 1 : -1)))]);
    } else if (event.key === "Enter" && this.marked !== null) {
      this.onObject(this.objects.diaObjectId[this.marked]);
    } else return;
    event.preventDefault();
  }

  #graticule(context, place, width, height) {
    const reach = this.radius * 1.5;
    const cos = Math.max(Math.cos((Math.min(89.9, Math.abs(this.dec)) * Math.PI) / 180), 0.02);
    const across = Math.min(180, reach / cos);
    const decs = ticks(Math.max(-90, this.dec - reach), Math.min(90, this.dec + reach), 7);
    const ras = across >= 180 ? range(0, 330, 30) : ticks(this.ra - across, this.ra + across, 7);
    const steps = range(-1, 1, 1 / 24);
    const longest = Math.max(width, height);
    context.strokeStyle = colour("--line");
    for (const dec of decs) line(context, steps.map((k) => [this.ra + k * across, dec]), place, longest);
    for (const ra of ras) {
      line(context, steps.map((k) => [ra, Math.max(-90, Math.min(90, this.dec + k * reach))]), place, longest);
    }
    const decimals = (values) => (values.length > 1 ? Math.max(0, -Math.floor(Math.log10(values[1] - values[0]) + 1e-9)) : 2);
    return () => {
      context.textBaseline = "bottom";
      context.textAlign = "center";
      for (const ra of ras) {
        const spot = place(ra, this.dec - this.radius * 0.97);
        if (spot && spot[0] > 40 && spot[0] < width - 60) {
          this.#label(context, `${(((ra % 360) + 360) % 360).toFixed(decimals(ras))}°`, spot[0], height - 5);
        }
      }
      context.textAlign = "right";
      context.textBaseline = "middle";
      for (const dec of decs) {
        const spot = place(this.ra, dec);
        if (spot && spot[1] > 24 && spot[1] < height - 24) {
          this.#label(context, `${dec < 0 ? "−" : "+"}${Math.abs(dec).toFixed(decimals(decs))}°`, width - 6, spot[1]);
        }
      }
    };
  }

  // A rim of the sky's colour keeps a label readable on whatever it lies.
  #label(context, text, x, y) {
    context.strokeStyle = colour("--sky");
    context.lineWidth = 4;
    context.lineJoin = "round";
    context.strokeText(text, x, y);
    context.lineWidth = 1;
    context.fillStyle = colour("--ink");
    context.fillText(text, x, y);
  }

  #dots(context, place, width, height) {
    this.spots = [];
    if (!this.objects) return;
    const { ra, dec, nDiaSources } = this.objects;
    const crowded = ra.length > 1500 ? 0.55 : 1;
    for (const [name, chosen] of [["--soft", (n) => n === 1], ["--accent", (n) => n > 1]]) {
      context.fillStyle = colour(name);
      context.globalAlpha = name === "--soft" ? 0.5 : 0.75;
      context.beginPath();
      for (let k = 0; k < ra.length; k += 1) {
        if (!chosen(nDiaSources[k])) continue;
        const spot = place(ra[k], dec[k]);
        if (!spot || spot[0] < 0 || spot[0] > width || spot[1] < 0 || spot[1] > height) continue;
        const size = crowded * (1.3 + Math.min(3, Math.log2(nDiaSources[k]) * 0.6));
        context.moveTo(spot[0] + size, spot[1]);
        context.arc(spot[0], spot[1], size, 0, 2 * Math.PI);
        this.spots.push([spot[0], spot[1], k]);
      }
      context.fill();
    }
    context.globalAlpha = 1;
    const marked = this.spots.find(([, , k]) => k === this.marked);
    if (marked) {
      context.strokeStyle = colour("--ink");
      context.lineWidth = 2;
      context.beginPath();
      context.arc(marked[0], marked[1], 9, 0, 2 * Math.PI);
      context.stroke();
      context.lineWidth = 1;
    }
  }

  #nearest(event) {
    let [best, least] = [null, 14];
    for (const [x, y, k] of this.spots ?? []) {
      const distance = Math.hypot(x - event.offsetX, y - event.offsetY);
      if (distance < least) [best, least] = [k, distance];
    }
    return best;
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (this.pointers.size === 1) {
      this.dragged = false;
      this.grip = { at: [event.offsetX, event.offsetY], ra: this.ra, dec: this.dec };
    } else {
      this.dragged = true;
      this.pinch = { distance: this.#spread(), radius: this.radius };
    }
  }

  #spread() {
    const [one, other] = [...this.pointers.values()];
    return Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
  }

  #move(event) {
    if (!this.pointers.has(event.pointerId)) {
      const found = this.#nearest(event);
      if (event.pointerType === "touch") return;
      tip(found === null ? null : this.#text(found), event);
      this.canvas.style.cursor = found === null ? "grab" : "pointer";
      return;
    }
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (this.pointers.size === 2) {
      this.look(this.ra, this.dec, (this.pinch.radius * this.pinch.distance) / this.#spread());
    } else if (this.pointers.size === 1 && this.grip) {
      const [dx, dy] = [event.offsetX - this.grip.at[0], event.offsetY - this.grip.at[1]];
      if (Math.hypot(dx, dy) > 4) this.dragged = true;
      if (this.dragged) tip(null);
      if (this.dragged) this.look(...inverseGnomonic(-dx / this.scale, dy / this.scale, this.grip.ra, this.grip.dec));
    }
  }
}
