// The page of live visits.

import { StackedBars } from "../charts.js";
import { card, h, scroller, table } from "../dom.js";
import { count, number, utc } from "../format.js";
import { live } from "../live.js";
import { bandMark, empty } from "./common.js";

const OUTCOMES = [
  ["associated", "--associated", (one) => one.numAssociatedDiaSources],
  ["new objects", "--new", (one) => one.numNewDiaObjects],
  ["solar system", "--solar", (one) => one.numAssociatedSsObjects],
  ["marginal", "--marginal", (one) => one.numMarginalDiaSources],
  ["dropped", "--dropped", (one) => one.numDroppedDiaSources],
];
const STAGES = ["decode", "region", "load", "associate", "summarise", "photometer", "rows", "replace"];
const STAGE_SERIES = [
  ...STAGES.map((stage, k) => [stage, `--t${k}`, (one) => 1000 * (one.stageSeconds[stage] ?? 0)]),
  ["other", "--t8", (one) => 1000 * sum(Object.entries(one.stageSeconds).filter(([name]) => !STAGES.includes(name)), ([, value]) => value)],
];
const VISITS = 14;
const TABLE_MS = 250;

function sum(rows, value) {
  return rows.reduce((total, row) => total + value(row), 0);
}

function legend(series) {
  return h("span", { class: "legend" }, series.map(([name, variable]) => {
    const patch = h("i");
    patch.style.background = `var(${variable})`;
    return h("span", null, patch, name);
  }));
}

/** Show the page; return what updates it. */
export function liveView(view) {
  const tiles = h("dl", { class: "tiles" });
  const outcomes = h("canvas", { class: "chart", role: "img", "aria-label": "Sources of each batch by outcome; arrow keys step through the batches, Enter opens one" });
  const stages = h("canvas", { class: "chart", role: "img", "aria-label": "Time of each stage of each batch; arrow keys step through the batches, Enter opens one" });
  const visits = scroller("Latest visits", "");
  const open = (batch) => {
    location.hash = `#/visit/${batch.visit}/${batch.detector}`;
  };
  const deadLetters = h("div");
  const charts = [
    new StackedBars(outcomes, OUTCOMES, "sources per batch", (value) => count(value), open),
    new StackedBars(stages, STAGE_SERIES, "milliseconds per batch", (value) => `${number(value, 3)} ms`, open),
  ];
  const cells = tileCells(tiles);
  view.replaceChildren(
    h("h1", null, "Live visits"),
    h("p", { class: "lead" }, "The metrics that the daemons publish, as batches are committed."),
    tiles,
    h(
      "div",
      { class: "grid" },
      card("half", "Sources by outcome", null, outcomes, legend(OUTCOMES)),
      card("half", "Time by stage", null, stages, legend(STAGE_SERIES)),
      card("", "Latest visits", null, visits),
      card("", "Dead letters", null, deadLetters),
    ),
  );
  let drawnTables = 0;
  let later = 0;
  let deadLettersShown = null;
  const tables = () => {
    later = 0;
    drawnTables = performance.now();
    cells.update();
    visits.replaceChildren(visitsTable());
    if (deadLettersShown !== live.states.deadLetters) {
      deadLettersShown = live.states.deadLetters;
      deadLetters.replaceChildren(deadLettersTable(deadLettersShown));
    }
  };
  return {
    update() {
      for (const chart of charts) chart.draw(live.batches);
      // Nobody reads sixty tables a second.
      const wait = TABLE_MS - (performance.now() - drawnTables);
      if (wait <= 0) tables();
      else if (!later) later = setTimeout(tables, wait);
    },
    recolour() {
      for (const chart of charts) chart.recolour();
      this.update();
    },
    end() {
      clearTimeout(later);
    },
  };
}

function tileCells(tiles) {
  const names = ["Batches seen", "Sources", "New objects", "Object updates", "Not stored", "Lag", "Dead letters", "Objects stored"];
  const cells = names.map((name) => {
    const [value, note] = [h("dd", null, "–"), h("small")];
    const tile = h("div", { class: "tile" }, h("dt", null, name), value, note);
    tiles.append(tile);
    return { tile, value, note };
  });
  const set = (index, value, note, bad = false) => {
    const { tile, value: cell, note: small } = cells[index];
    if (cell.textContent !== value) cell.textContent = value;
    if (small.textContent !== note) small.textContent = note;
    tile.classList.toggle("bad", bad);
  };
  return {
    update() {
      const { batches, states } = live;
      const latest = batches.at(-1);
      const marginal = sum(batches, (one) => one.numMarginalDiaSources);
      const dropped = sum(batches, (one) => one.numDroppedDiaSources);
      const single = states.overview?.n_single_source;
      set(0, count(live.total), latest ? `last ${utc(latest.timeProcessedMjdTai).slice(11, 19)} UTC` : "none yet");
      set(1, count(sum(batches, (one) => one.numDiaSources)), batches.length < live.total ? `in the last ${count(batches.length)} batches` : "");
      set(2, count(sum(batches, (one) => one.numNewDiaObjects)), single === undefined ? "" : `${count(single)} objects with one source`);
      set(3, count(sum(batches, (one) => one.numUpdatedDiaObjects)), "an object counts once for each batch that saw it again");
      set(4, count(marginal + dropped), `${count(marginal)} marginal, ${count(dropped)} dropped`);
      set(5, states.lag ? count(states.lag.messages) : "–", states.lag ? "messages not processed" : "not known", (states.lag?.messages ?? 0) > 1000);
      const reasons = Object.keys(states.deadLetters.reasons).length;
      set(6, count(states.deadLetters.count), reasons ? `${reasons} reason${reasons > 1 ? "s" : ""}` : "", states.deadLetters.count > 0);
      set(7, states.overview ? count(states.overview.n_objects) : "–", states.overview ? `different ones, with about ${count(states.overview.n_sources)} sources` : "");
    },
  };
}

function visitsTable() {
  const byVisit = new Map();
  for (let k = live.batches.length - 1; k >= 0; k -= 1) {
    const one = live.batches[k];
    if (!byVisit.has(one.visit)) {
      if (byVisit.size === VISITS) break;
      byVisit.set(one.visit, []);
    }
    byVisit.get(one.visit).push(one);
  }
  if (!byVisit.size) {
    const away = live.states.services.kafka?.isUp === false;
    return empty(away ? "Kafka is unavailable; batches appear when it is back." : "No batch has been processed yet. Send some:", away ? null : "stream-assoc replay night/batches.avro");
  }
  const total = (name) => [(rows) => count(sum(rows, (one) => one[name])), true];
  const column = (heading, name) => [heading, ...total(name)];
  return table(
    [
      ["visit", (rows) => h("a", { class: "mono", href: `#/visit/${rows[0].visit}` }, rows[0].visit)],
      ["band", (rows) => bandMark(rows[0].band)],
      column("sources", "numDiaSources"),
      column("seen again", "numUpdatedDiaObjects"),
      column("new", "numNewDiaObjects"),
      column("missed", "numUnassociatedDiaObjects"),
      column("solar system", "numAssociatedSsObjects"),
      column("marginal", "numMarginalDiaSources"),
      column("dropped", "numDroppedDiaSources"),
      column("ambiguous", "numAmbiguousDiaSources"),
      ["rms sep ″", (rows) => number(rms(rows), 3), true],
      ["ms a batch", (rows) => number(mean(rows), 3), true],
      ["detectors", (rows) => detectors(rows)],
    ],
    [...byVisit.values()],
  );
}

function rms(rows) {
  const known = rows.filter((one) => one.rmsSeparation !== null && one.numAssociatedDiaSources > 0);
  const n = sum(known, (one) => one.numAssociatedDiaSources);
  return n ? Math.sqrt(sum(known, (one) => one.numAssociatedDiaSources * one.rmsSeparation ** 2) / n) : null;
}

function mean(rows) {
  return (1000 * sum(rows, (one) => sum(Object.values(one.stageSeconds), (value) => value))) / rows.length;
}

function detectors(rows) {
  const sorted = [...new Set(rows.map((one) => one.detector))].sort((a, b) => a - b);
  const shown = sorted.slice(0, 12);
  const more = sorted.length > shown.length && h("span", { class: "soft" }, `+${sorted.length - shown.length}`);
  return h("span", { class: "chips tight" }, shown.map((one) => h("a", { href: `#/visit/${rows[0].visit}/${one}` }, one)), more);
}

function deadLettersTable(deadLetters) {
  if (!deadLetters.count) return empty("None. Every message was processed.");
  const reasons = Object.entries(deadLetters.reasons).map(([reason, n]) => h("span", { class: "chip bad" }, `${reason}: ${count(n)}`));
  const rows = table(
    [
      ["reason", (one) => one.reason],
      ["problem", (one) => one.message, "wrap"],
      ["from", (one) => h("span", { class: "mono" }, `${one.topic} ${one.partition}:${one.offset}`)],
      ["when", (one) => `${new Date(one.time).toISOString().slice(0, 19).replace("T", " ")} UTC`],
    ],
    deadLetters.latest.slice(0, 10),
  );
  return h("div", null, h("p", { class: "chips" }, reasons), scroller("Dead letters", "", rows));
}
