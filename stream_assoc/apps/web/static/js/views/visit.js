// The page of a visit and detector.

import { card, h, scroller, table } from "../dom.js";
import { count, degrees, number, utc } from "../format.js";
import { bandMark, empty, fillFrom, objectLink, paged, sourceLink } from "./common.js";

const SHOWN = 200;

/** Show the detectors of a visit, or the sources of one of them; the name is "visit" or "visit/detector". */
export function visitView(view, name, signal) {
  const page = h("div");
  const [visit, detector] = name.split("/");
  const number = h("span", { class: "mono" }, visit);
  if (detector) {
    view.replaceChildren(h("h1", null, "Visit ", h("a", { href: `#/visit/${encodeURIComponent(visit)}` }, number), `, detector ${detector}`), page);
    fillFrom(page, `visits/${encodeURIComponent(visit)}/${encodeURIComponent(detector)}`, signal, shown);
  } else {
    view.replaceChildren(h("h1", null, "Visit ", number), page);
    fillFrom(page, `visits/${encodeURIComponent(visit)}`, signal, wholeVisit);
  }
  return { update() {}, recolour() {}, end() {} };
}

function wholeVisit({ visit, band, midpointMjdTai, detectors }) {
  return [
    h("p", { class: "lead" }, band !== null && bandMark(band), midpointMjdTai !== null && ` ${utc(midpointMjdTai)}. `, `${count(detectors.length)} detector${detectors.length === 1 ? "" : "s"} processed.`),
    h("div", { class: "grid" }, card("", "Detectors", null, scroller("Detectors", "", detectorsTable(visit, detectors)))),
  ];
}

function detectorsTable(visit, detectors) {
  return table(
    [
      ["detector", (one) => h("a", { href: `#/visit/${visit}/${one.detector}` }, one.detector)],
      ["sources", (one) => count(one.n_sources), true],
      ["stored", (one) => count(one.n_stored), true],
      ["processed", (one) => utc(one.timeProcessedMjdTai)],
      ["processings", (one) => count(one.revision + 1), true],
    ],
    detectors,
  );
}

function shown({ processings, sources, isComplete }) {
  const created = sources.filter((one) => one.diaObjectId === one.diaSourceId).length;
  const solar = sources.filter((one) => one.ssObjectId !== null).length;
  const summary = `${count(sources.length)}${isComplete ? "" : " and more"} sources count: ${count(created)} created objects, ${count(solar)} are known solar-system objects.`;
  return [
    h("p", { class: "lead" }, sources.length > 0 && bandMark(sources[0].band), sources.length > 0 && ` ${utc(sources[0].midpointMjdTai)}. `, summary),
    h(
      "div",
      { class: "grid" },
      card("", "Processings", null, scroller("Processings", "", processingsTable(processings))),
      card("", "Sources", null, sources.length ? paged("Sources", sources, SHOWN, sourcesTable) : empty("None of its sources is stored.")),
    ),
  ];
}

function processingsTable(processings) {
  return table(
    [
      ["revision", (one) => one.revision, true],
      ["processed", (one) => utc(one.timeProcessedMjdTai)],
      ["timeProcessedMjdTai", (one) => one.timeProcessedMjdTai.toFixed(8), true],
      ["sources", (one) => count(one.n_sources), true],
      ["stored", (one) => count(one.n_stored), true],
      ["digest", (one) => h("span", { class: "mono" }, `${one.digest}…`)],
    ],
    processings,
  );
}

function sourcesTable(sources) {
  const owner = (one) => {
    if (one.ssObjectId !== null) return h("span", null, "solar system ", h("span", { class: "mono" }, one.ssObjectId));
    return objectLink(one.diaObjectId);
  };
  return table(
    [
      ["diaSourceId", (one) => sourceLink(one.diaSourceId)],
      ["belongs to", owner],
      ["", (one) => one.diaObjectId === one.diaSourceId && h("span", { class: "chip" }, "new object")],
      ["ra dec", (one) => degrees(one.ra, one.dec)],
      ["psfFlux nJy", (one) => `${number(one.psfFlux)} ± ${number(one.psfFluxErr, 3)}`, true],
      ["snr", (one) => number(one.snr, 3), true],
      ["reliability", (one) => number(one.reliability, 3), true],
    ],
    sources,
  );
}
