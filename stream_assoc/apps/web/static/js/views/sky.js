// The page of the sky.

import { card, h, scroller, table } from "../dom.js";
import { FieldOfSky } from "../field.js";
import { BANDS, count, degrees, mjd, sexagesimal } from "../format.js";
import { gnomonic } from "../projection.js";
import { WholeSky } from "../skymap.js";
import { ApiError, ask, bandMark, empty, failure } from "./common.js";

const SETTLE_MS = 180;
const REFRESH_MS = 15000;
const LARGEST_DEG = 20;

function middle(outline) {
  const sums = [0, 0, 0];
  for (const [ra, dec] of outline) {
    const [a, d] = [(ra * Math.PI) / 180, (dec * Math.PI) / 180];
    sums[0] += Math.cos(a) * Math.cos(d);
    sums[1] += Math.sin(a) * Math.cos(d);
    sums[2] += Math.sin(d);
  }
  const ra = (Math.atan2(sums[1], sums[0]) * 180) / Math.PI;
  return [(ra + 360) % 360, (Math.atan2(sums[2], Math.hypot(sums[0], sums[1])) * 180) / Math.PI];
}

/** Show the page, at a position when the address has one. */
export function skyView(view, parameters, signal) {
  const wholeCanvas = h("canvas", { class: "sky whole", role: "img", "aria-label": "The whole sky with its coverage; arrow keys move the field" });
  const fieldCanvas = h("canvas", { class: "sky field", role: "img", "aria-label": "Objects and visits of a field; arrow keys move it, + and − zoom, n and p go through its objects, Enter opens one" });
  const where = h("span", { class: "soft" });
  const note = h("p", { class: "soft", role: "status" }, "Loading the sky…");
  const visits = scroller("Latest visits", "tall", h("p", { class: "soft" }, "Loading…"));
  const problem = h("div");
  const bandsSeen = h("span", { class: "legend" });
  let frame = 0;
  let timer = 0;
  let asked = null;
  const redraw = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      whole.draw();
      field.draw();
    });
  };
  const field = new FieldOfSky(fieldCanvas, {
    onMove() {
      whole.field = { ra: field.ra, dec: field.dec };
      where.textContent = `${degrees(field.ra, field.dec)}, radius ${field.radius.toPrecision(2)}°`;
      where.title = sexagesimal(field.ra, field.dec);
      clearTimeout(timer);
      timer = setTimeout(load, SETTLE_MS);
      field.isLoading = true;
      redraw();
    },
    onObject(id) {
      location.hash = `#/object/${id}`;
    },
  });
  const whole = new WholeSky(wholeCanvas, (ra, dec) => field.look(ra, dec));
  const load = async () => {
    asked?.abort();
    asked = new AbortController();
    signal.addEventListener("abort", () => asked.abort(), { once: true });
    try {
      const reach = Math.min(20, field.radius * 1.42);
      field.marked = null;
      field.objects = await ask(`sky/objects?ra=${field.ra}&dec=${field.dec}&radius=${reach}`, asked.signal);
      field.isLoading = false;
      const n = field.objects.ra.length;
      note.textContent = field.objects.isComplete
        ? `${count(n)} object${n === 1 ? "" : "s"}. Click one for its light curve.`
        : `The ${count(n)} objects nearest to the centre; zoom in to see all.`;
      redraw();
    } catch (error) {
      if (error.name !== "AbortError") field.isLoading = false;
      redraw();
      if (error instanceof ApiError) note.textContent = error.message;
      else if (error.name !== "AbortError") throw error;
    }
  };
  const overview = async () => {
    try {
      const sky = await ask("sky", signal);
      whole.sky = sky;
      field.sky = sky;
      problem.replaceChildren();
      const bands = BANDS.filter((band) => sky.visits.some((one) => one.band === band));
      bandsSeen.replaceChildren(...bands.map(bandMark));
      visits.replaceChildren(sky.visits.length ? visitsTable(sky.visits, field) : empty("No visit has been processed yet."));
      if (!whole.field) look(sky);
      if (!whole.field) {
        field.isLoading = false;
        note.textContent = "Nothing has been stored yet.";
      }
      redraw();
    } catch (error) {
      if (!(error instanceof ApiError)) {
        if (error.name !== "AbortError") throw error;
        return;
      }
      problem.replaceChildren(failure(error, overview));
    }
  };
  const look = (sky) => {
    const [ra, dec] = wanted;
    if (isPosition) field.look(ra, dec, 0.1);
    else if (sky.visits.length) lookAtVisits(sky);
    else if (sky.coverage.length) field.look(...middle(sky.coverage[0].outline), 2);
  };
  // All of the latest visits where they fit into a field, else the last of them.
  const lookAtVisits = (sky) => {
    const last = sky.visits.filter((one) => one.visit === sky.visits[0].visit);
    const around = (detectors) => {
      const corners = detectors.flatMap((one) => one.outline);
      const [ra, dec] = middle(corners);
      const points = corners.map((corner) => gnomonic(...corner, ra, dec) ?? [LARGEST_DEG, LARGEST_DEG]);
      return [ra, dec, 1.06 * Math.max(...points.flat().map(Math.abs))];
    };
    const all = around(sky.visits);
    field.look(...(all[2] < LARGEST_DEG ? all : around(last)));
  };
  const wanted = parameters === "" ? [] : parameters.split(",").map((text) => (text.trim() === "" ? NaN : Number(text)));
  const isPosition = wanted.length === 2 && wanted.every(Number.isFinite) && Math.abs(wanted[1]) <= 90;
  const button = (text, label, act) => h("button", { type: "button", "aria-label": label, onclick: act }, text);
  view.replaceChildren(
    h("h1", null, "The sky"),
    h("p", { class: "lead" }, "The parts of the sky that batches have changed, the outlines of the latest visits, and the objects of a field."),
    parameters !== "" && !isPosition
      ? h("div", { class: "failure", role: "alert" }, `${parameters.slice(0, 100)} is not a position on the sky: write right ascension and declination in degrees, such as #/sky/150.1,2.2. The map shows what is stored.`)
      : "",
    problem,
    h(
      "div",
      { class: "grid start" },
      card(
        "half",
        "Field",
        h("span", { class: "controls" }, where, button("−", "Zoom out", () => field.zoom(1.6)), button("+", "Zoom in", () => field.zoom(1 / 1.6))),
        fieldCanvas,
        note,
        legendOfField(),
      ),
      h(
        "div",
        { class: "half grid" },
        card("", "Whole sky", bandsSeen, wholeCanvas, h("p", { class: "soft" }, "Equal-area (Hammer), east to the left. Click to move the field.")),
        card("", "Latest visits", h("span", { class: "soft" }, "outlines of the stored sources"), visits),
      ),
    ),
  );
  const refresh = setInterval(overview, REFRESH_MS);
  const resized = new ResizeObserver(redraw);
  resized.observe(fieldCanvas);
  overview();
  return {
    update() {},
    recolour: redraw,
    end() {
      clearInterval(refresh);
      clearTimeout(timer);
      cancelAnimationFrame(frame);
      resized.disconnect();
    },
  };
}

function legendOfField() {
  const entry = (kind, text) => h("span", null, h("i", { class: kind }), text);
  return h(
    "p",
    { class: "legend" },
    entry("dot", "object: larger with more sources"),
    entry("single", "object with a single source"),
    entry("cover", "changed by batches: darker if more often"),
    entry("rim", "outline of a visit, in the colour of its band"),
  );
}

function visitsTable(visits, field) {
  const show = (one) => h("button", { type: "button", class: "quiet", onclick: () => field.look(...middle(one.outline), 0.2) }, "show");
  return table(
    [
      ["visit", (one) => h("a", { class: "mono", href: `#/visit/${one.visit}` }, one.visit)],
      ["detector", (one) => h("a", { href: `#/visit/${one.visit}/${one.detector}` }, one.detector), true],
      ["band", (one) => bandMark(one.band)],
      ["MJD TAI", (one) => mjd(one.midpointMjdTai), true],
      ["stored", (one) => count(one.n_stored), true],
      ["", show],
    ],
    visits.slice(0, 40),
  );
}
