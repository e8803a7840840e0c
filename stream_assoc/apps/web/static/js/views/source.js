// The page of a source: why it belongs to its object.

import { card, facts, h, s, scroller, table } from "../dom.js";
import { count, degrees, mjd, number, sexagesimal, signed, utc } from "../format.js";
import { bandMark, empty, fillFrom, objectLink, sourceLink } from "./common.js";

/** Show the explanation of a source. */
export function sourceView(view, id, signal) {
  const page = h("div");
  view.replaceChildren(h("h1", null, "DIASource ", h("span", { class: "mono" }, id)), page);
  fillFrom(page, `sources/${encodeURIComponent(id)}`, signal, shown);
  return { update() {}, recolour() {}, end() {} };
}

function agreement(agrees) {
  if (agrees === null) return h("span", { class: "chip" }, "the recomputation cannot tell");
  return h("span", { class: `chip ${agrees ? "good" : "bad"}` }, agrees ? "the recomputation agrees" : "the recomputation differs");
}

function shown(explanation) {
  const { source, batch, candidates, limits } = explanation;
  const cost = explanation.unmatched_cost === null ? null : number(explanation.unmatched_cost, 6);
  return [
    h("p", { class: "lead" }, "visit ", h("a", { href: `#/visit/${source.visit}/${source.detector}` }, `${source.visit}, detector ${source.detector}`), " · ", bandMark(source.band), ` · ${utc(source.midpointMjdTai)}`),
    h(
      "div",
      { class: "grid" },
      card(
        "two-thirds",
        "Why",
        agreement(explanation.agrees),
        h("p", { class: "sentence" }, explanation.summary),
        candidates.length ? scroller("Candidates", "", candidatesTable(explanation)) : empty(explanation.verdict === "founded" ? "No object was within reach." : "There are no candidates to show."),
        limits.length > 0 && h("ul", { class: "soft" }, limits.map((limit) => h("li", null, limit))),
      ),
      card("third", "Within reach", h("span", { class: "soft" }, "arcsec, east to the left"), target(explanation)),
      card(
        "",
        "What is stored",
        null,
        facts([
          ["DIAObject", source.diaObjectId && objectLink(source.diaObjectId)],
          ["solar-system object", source.ssObjectId && h("span", { class: "mono" }, source.ssObjectId)],
          ["ra dec", `${degrees(source.ra, source.dec)} (${sexagesimal(source.ra, source.dec)})`],
          ["raErr, decErr", source.raErr === null ? "–" : `${number(source.raErr * 3600, 3)}″, ${number(source.decErr * 3600, 3)}″`],
          ["midpointMjdTai", `${mjd(source.midpointMjdTai)} (${utc(source.midpointMjdTai)})`],
          ["timeProcessedMjdTai", `${mjd(source.timeProcessedMjdTai)} (${utc(source.timeProcessedMjdTai)})`],
          ["withdrawn", source.timeWithdrawnMjdTai === null ? null : `${mjd(source.timeWithdrawnMjdTai)} (${utc(source.timeWithdrawnMjdTai)})`],
          ["its batch", batch.n_sources === null ? null : `${count(batch.n_stored)} of ${count(batch.n_sources)} sources stored, processing ${batch.revision + 1} of ${batch.latest_revision + 1}`],
          ["runner-up's margin", explanation.margin === null ? null : number(explanation.margin, 4)],
          ["cost of no match", cost],
        ]),
      ),
    ),
  ];
}

function candidatesTable({ candidates, mode }) {
  const outcome = (one) => {
    if (one.is_match) return "matched";
    return one.matched_diaSourceId === null ? "left alone" : h("span", null, "went to ", sourceLink(one.matched_diaSourceId));
  };
  const score = (one) => (mode === "nll" ? one.score.toFixed(4).replace("-", "−") : number(one.score));
  return table(
    [
      ["diaObjectId", (one) => objectLink(one.diaObjectId)],
      ["separation ″", (one) => one.separation_arcsec.toFixed(4), true],
      ["Δα cos δ, Δδ ″", (one) => `${signed(one.delta_ra_arcsec, 4)}, ${signed(one.delta_dec_arcsec, 4)}`, true],
      ["σ ra, dec ″", (one) => (one.sigma_ra_arcsec === null ? "–" : `${one.sigma_ra_arcsec.toFixed(3)}, ${one.sigma_dec_arcsec.toFixed(3)}`), true],
      ["sources then", (one) => count(one.nDiaSources), true],
      [mode === "chord" ? "score (chord)" : "score (NLL)", score, true],
      ["outcome", outcome],
    ],
    candidates,
    (one) => ({ class: one.is_match && "match" }),
  );
}

// The source in the middle, circles of half an arcsecond and one, objects where they were.
function target({ candidates }) {
  const reach = Math.max(1.15, ...candidates.map((one) => 1.15 * one.separation_arcsec));
  const scale = 100 / reach;
  const parts = [0.5, 1].map((radius) => [
    s("circle", { class: "axis", cx: 0, cy: 0, r: radius * scale }),
    s("text", { x: 3, y: -radius * scale - 3 }, `${radius}″`),
  ]);
  for (const one of [...candidates].reverse()) {
    const [x, y] = [one.delta_ra_arcsec * scale, one.delta_dec_arcsec * scale];
    const paint = one.is_match ? "var(--accent)" : "var(--soft)";
    if (one.sigma_ra_arcsec !== null) {
      const cos = Math.cos((one.dec * Math.PI) / 180);
      parts.push(s("ellipse", { cx: x, cy: y, rx: one.sigma_ra_arcsec * cos * scale, ry: one.sigma_dec_arcsec * scale, fill: paint, "fill-opacity": 0.16, stroke: paint, "stroke-opacity": 0.5 }));
    }
    parts.push(s("circle", { cx: x, cy: y, r: 3.2, fill: paint }, s("title", null, one.diaObjectId)));
  }
  parts.push(s("path", { d: "M-6 0H6M0 -6V6", stroke: "var(--ink)", "stroke-width": 1.6 }));
  return s(
    "svg",
    { class: "target", viewBox: "-112 -112 224 224", role: "img", "aria-label": "Candidates around the source; ellipses are the combined position errors" },
    parts,
  );
}
