// The lists of objects: recently updated ones, and search results.

import { card, h, scroller, table } from "../dom.js";
import { BANDS, count, degrees, number, sexagesimal, utc } from "../format.js";
import { bandMark, empty, fillFrom, objectLink } from "./common.js";

/** Show recently updated objects. */
export function objectsView(view, _, signal) {
  const list = scroller("Recently updated objects", "");
  view.replaceChildren(
    h("h1", null, "Objects"),
    h("p", { class: "lead" }, "Recently updated objects, those with most sources first. Click one for its light curve."),
    h("div", { class: "grid" }, card("", "Recently updated", null, list)),
  );
  fillFrom(list, "objects", signal, ({ objects }) =>
    objects.length ? recentTable(objects) : empty("The APDB holds no object yet. Send some batches:", "stream-assoc replay night/batches.avro"),
  );
  return { update() {}, recolour() {}, end() {} };
}

function recentTable(objects) {
  const bands = BANDS.filter((band) => objects.some((one) => one[`${band}_psfFluxNdata`] > 0));
  return table(
    [
      ["diaObjectId", (one) => objectLink(one.diaObjectId)],
      ["sources", (one) => count(one.nDiaSources), true],
      ["ra dec (degrees)", (one) => degrees(one.ra, one.dec)],
      ["last seen", (one) => utc(one.lastDiaSourceMjdTai).slice(0, 16)],
      ...bands.map((band) => [h("span", null, bandMark(band), " mean nJy"), (one) => number(one[`${band}_psfFluxMean`]), true]),
    ],
    objects,
  );
}

/** Go to the page of an id, or show the objects near a position. */
export function searchView(view, text, signal) {
  const list = scroller("What was found", "");
  view.replaceChildren(h("h1", null, "Search"), h("p", { class: "lead" }, text), h("div", { class: "grid" }, card("", "Found", null, list)));
  fillFrom(list, `search?q=${encodeURIComponent(text)}`, signal, (found) => {
    if (found.kind !== "position") {
      location.replace(addressOf(found));
      return h("p", null, "Found.");
    }
    return nearbyTable(found);
  });
  return { update() {}, recolour() {}, end() {} };
}

function addressOf(found) {
  const rest = { object: found.diaObjectId, source: found.diaSourceId, visit: found.visit, batch: `${found.visit}/${found.detector}` };
  return `#/${found.kind === "batch" ? "visit" : found.kind}/${rest[found.kind]}`;
}

function nearbyTable(found) {
  const place = h("p", null, `${degrees(found.ra, found.dec)} (${sexagesimal(found.ra, found.dec)}) `, h("a", { href: `#/sky/${found.ra},${found.dec}` }, "on the sky"));
  if (!found.objects.length) return [place, empty("No object within a degree.")];
  const limit = found.isComplete ? "" : "; there are more";
  return [
    place,
    h("p", { class: "soft" }, `${count(found.objects.length)} within ${found.radius_arcsec}″, the nearest first${limit}.`),
    table(
      [
        ["diaObjectId", (one) => objectLink(one.diaObjectId)],
        ["separation ″", (one) => number(one.separation_arcsec, 4), true],
        ["ra dec (degrees)", (one) => degrees(one.ra, one.dec)],
        ["sources", (one) => count(one.nDiaSources), true],
      ],
      found.objects,
    ),
  ];
}
