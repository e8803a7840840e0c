// The page of an object: its light curve, statistics, versions, and why its sources belong to it.

import { card, facts, h, scroller, table } from "../dom.js";
import { BANDS, count, degrees, mjd, number, sexagesimal, utc } from "../format.js";
import { LightCurve, symbol } from "../lightcurve.js";
import { ApiError, ask, bandMark, empty, fillFrom, paged, sourceLink } from "./common.js";

const EXPLAINED_AT_ONCE = 25;
const SHOWN = 200;

/** Show an object. */
export function objectView(view, id, signal) {
  const head = h("div");
  const place = h("div");
  const [svg, controls] = [curveElement(), h("div", { class: "controls" })];
  const [numbers, history, sources] = [scroller("Statistics", ""), scroller("Versions", "tall"), h("div")];
  const zoomed = h("div", { class: "zoomed soft" });
  const open = (source) => {
    location.hash = `#/source/${source}`;
  };
  const curve = new LightCurve(svg, open, (stretch) => zoomed.replaceChildren(...zoomState(curve, stretch)));
  zoomed.replaceChildren(...zoomState(curve, null));
  view.replaceChildren(
    head,
    h(
      "div",
      { class: "grid" },
      card("two-thirds", "Light curve", controls, svg, zoomed),
      card("third", "Where and when", null, place),
      card("", "Association of its sources", h("span", { class: "soft" }, "recomputed from what is stored"), sources),
      card("", "Statistics", h("span", { class: "soft" }, "as stored in the APDB; in italics: computed now from the sources"), numbers),
      card("", "Versions", null, history),
    ),
  );
  const filled = fillFrom(head, `objects/${encodeURIComponent(id)}`, signal, (object) => {
    place.replaceChildren(whereAndWhen(object));
    fillStatistics(numbers, id, object, signal);
    const state = object.isOpen ? h("span", { class: "chip good" }, "current") : h("span", { class: "chip bad" }, "ended");
    return [
      h("h1", null, "DIAObject ", h("span", { class: "mono" }, id), " ", state),
      h("p", { class: "lead" }, `${count(object.latest.nDiaSources)} sources at ${degrees(object.latest.ra, object.latest.dec)}`),
    ];
  });
  filled.then((isFound) => {
    if (signal.aborted) return;
    if (!isFound) {
      // An object that does not exist has no light curve either: one message is enough.
      view.replaceChildren(h("h1", null, "DIAObject ", h("span", { class: "mono" }, id)), head);
      return;
    }
    fillFrom(sources, `objects/${encodeURIComponent(id)}/light_curve`, signal, (answer) => {
      curve.take(answer);
      controls.replaceChildren(...curveControls(curve, answer));
      curve.draw();
      return answer.sources.length ? sourcesTable(answer, signal) : empty("None of its sources is stored.");
    });
    fillFrom(history, `objects/${encodeURIComponent(id)}/versions`, signal, versionsTable);
  });
  const resized = new ResizeObserver(() => curve.points.length && curve.draw());
  resized.observe(svg);
  return {
    update() {},
    recolour() {
      curve.draw();
    },
    end() {
      resized.disconnect();
    },
  };
}

function curveElement() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "curve");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "Light curve; arrow keys step through its points, Enter opens one, + and − zoom, 0 shows all");
  return svg;
}

function zoomState(curve, stretch) {
  const button = (text, act) => h("button", { type: "button", onclick: act }, text);
  if (stretch === null) {
    return [h("span", null, "Drag to choose a stretch of time, click a point to see why it belongs here. By keyboard: arrows, Enter, +, −, 0.")];
  }
  const text = `Shown: MJD ${mjd(stretch[0])} to ${mjd(stretch[1])}.`;
  const steps = curve.windows.length > 1 && button("One step back", () => curve.back());
  return [h("span", null, text), steps, button("Show all", () => curve.all())].filter(Boolean);
}

function curveControls(curve, { sources, forced }) {
  const { options } = curve;
  const toggle = (content, isOn, act) => {
    const button = h("button", { type: "button", "aria-pressed": String(isOn()) }, content);
    button.addEventListener("click", () => {
      act();
      button.setAttribute("aria-pressed", String(isOn()));
      curve.draw();
    });
    return button;
  };
  const all = [...sources, ...forced];
  const bands = BANDS.filter((band) => all.some((one) => one.band === band)).map((band) =>
    toggle(
      h("span", { class: "band" }, symbol(band), band),
      () => options.bands.has(band),
      () => (options.bands.has(band) ? options.bands.delete(band) : options.bands.add(band)),
    ),
  );
  const science = toggle("scienceFlux", () => options.flux === "scienceFlux", () => {
    options.flux = options.flux === "psfFlux" ? "scienceFlux" : "psfFlux";
  });
  const forcedToggle = toggle(`forced (${count(forced.length)})`, () => options.forced, () => {
    options.forced = !options.forced;
  });
  return [...bands, science, forced.length > 0 && forcedToggle].filter(Boolean);
}

function whereAndWhen({ latest }) {
  return facts([
    ["ra dec", degrees(latest.ra, latest.dec)],
    ["sexagesimal", sexagesimal(latest.ra, latest.dec)],
    ["raErr, decErr", `${number(latest.raErr * 3600, 3)}″, ${number(latest.decErr * 3600, 3)}″`],
    ["first source", `${mjd(latest.firstDiaSourceMjdTai)} (${utc(latest.firstDiaSourceMjdTai)})`],
    ["last source", `${mjd(latest.lastDiaSourceMjdTai)} (${utc(latest.lastDiaSourceMjdTai)})`],
    ["version since", `${mjd(latest.validityStartMjdTai)} (${utc(latest.validityStartMjdTai)})`],
    ["ended", latest.validityEndMjdTai === null ? null : `${mjd(latest.validityEndMjdTai)} (${utc(latest.validityEndMjdTai)})`],
    ["", h("a", { href: `#/sky/${latest.ra},${latest.dec}` }, "on the sky")],
  ]);
}

function fillStatistics(element, id, object, signal) {
  const bands = BANDS.filter((band) => object.latest[`${band}_psfFluxNdata`] > 0);
  const show = (computed) => {
    const names = new Set();
    for (const name of [...Object.keys(object.latest), ...Object.keys(computed)]) {
      if (/^[ugrizy]_/.test(name)) names.add(name.slice(2));
    }
    const value = (name, band) => {
      const key = `${band}_${name}`;
      if (typeof object.latest[key] === "number") return number(object.latest[key]);
      return computed[key] === undefined || computed[key] === null ? "–" : h("em", null, number(computed[key]));
    };
    const known = [...names].filter((name) => bands.some((band) => value(name, band) !== "–"));
    const column = (name) => object.columns[`${bands[0]}_${name}`] ?? { unit: "", description: "Computed now, by a plugin from another package." };
    const described = (name) => h("span", { title: column(name).description }, name, " ", h("span", { class: "soft" }, column(name).unit));
    return bands.length
      ? table([["statistic", described], ...bands.map((band) => [bandMark(band), (name) => value(name, band), true])], known)
      : empty("No band has a flux.");
  };
  const waiting = h("p", { class: "soft" }, "Computing more statistics; the first time on a machine takes a minute.");
  element.replaceChildren(show({}), waiting);
  ask(`objects/${encodeURIComponent(id)}/statistics`, signal).then(
    ({ statistics, isComplete }) =>
      element.replaceChildren(
        show(statistics),
        isComplete ? "" : h("p", { class: "soft" }, "The object has too many sources to compute more statistics now."),
      ),
    (error) => {
      if (error instanceof ApiError) waiting.textContent = error.message;
      else if (error.name !== "AbortError") throw error;
    },
  );
}

function versionsTable({ versions, isComplete }) {
  const bands = BANDS.filter((band) => versions.some((one) => one[`${band}_psfFluxMean`] !== undefined));
  return [
    table(
      [
        ["since", (one) => utc(one.validityStartMjdTai)],
        ["validityStartMjdTai", (one) => one.validityStartMjdTai.toFixed(8), true],
        ["validityEndMjdTai", (one) => one.validityEndMjdTai?.toFixed(8) ?? "open", true],
        ["sources", (one) => count(one.nDiaSources), true],
        ["ra dec", (one) => degrees(one.ra, one.dec)],
        ...bands.map((band) => [h("span", null, bandMark(band), " mean nJy"), (one) => number(one[`${band}_psfFluxMean`]), true]),
      ],
      versions,
    ),
    !isComplete && h("p", { class: "soft" }, `The latest ${count(versions.length)} are shown.`),
  ];
}

function sourcesTable({ sources, isComplete }, signal) {
  const shown = [...sources].reverse();
  const cells = new Map(shown.map((one) => [one.diaSourceId, ["candidates", "separation", "score", "margin", "agrees"].map(() => h("span", { class: "soft" }, "·"))]));
  const cell = (k) => (one) => cells.get(one.diaSourceId)[k];
  const tableOf = (rows) => table(
    [
      ["diaSourceId", (one) => sourceLink(one.diaSourceId)],
      ["visit, detector", (one) => h("a", { class: "mono", href: `#/visit/${one.visit}/${one.detector}` }, `${one.visit} ${one.detector}`)],
      ["band", (one) => bandMark(one.band)],
      ["MJD TAI", (one) => mjd(one.midpointMjdTai), true],
      ["psfFlux nJy", (one) => `${number(one.psfFlux)} ± ${number(one.psfFluxErr, 3)}`, true],
      ["candidates", cell(0), true],
      ["separation ″", cell(1), true],
      ["score", cell(2), true],
      ["margin", cell(3), true],
      ["recomputation", cell(4)],
    ],
    rows,
    (one) => ({ class: one.timeWithdrawnMjdTai !== null && "gone" }),
  );
  const explainSome = async (some) => {
    for (const { diaSourceId } of some) await explainInto(cells.get(diaSourceId), diaSourceId, signal);
  };
  explainSome(shown.slice(0, EXPLAINED_AT_ONCE));
  const rest = shown.slice(EXPLAINED_AT_ONCE);
  const more = rest.length > 0 && h("button", { type: "button" }, `Explain ${count(rest.length)} more`);
  if (more) {
    more.addEventListener("click", () => {
      more.remove();
      explainSome(rest);
    });
  }
  return [paged("Association of its sources", shown, SHOWN, tableOf, true), more, !isComplete && h("p", { class: "soft" }, `Only the first ${count(sources.length)} are shown.`)];
}

async function explainInto([candidates, separation, score, margin, agrees], id, signal) {
  if (signal.aborted) return;
  try {
    const explanation = await ask(`sources/${id}`, signal);
    const match = explanation.candidates.find((one) => one.is_match);
    const isNew = explanation.verdict === "founded";
    candidates.textContent = String(explanation.candidates.length);
    separation.textContent = isNew ? "created it" : number(match?.separation_arcsec, 3);
    score.textContent = number(match?.score, 4);
    margin.textContent = match ? (explanation.margin === null ? "no other" : number(explanation.margin, 3)) : "–";
    agrees.replaceChildren(h("span", { class: `chip ${explanation.agrees ? "good" : "bad"}` }, explanation.agrees ? "agrees" : "differs"));
    for (const one of [candidates, separation, score, margin]) one.className = "";
  } catch (error) {
    if (error instanceof ApiError) candidates.textContent = "–";
    else if (error.name !== "AbortError") throw error;
  }
}
