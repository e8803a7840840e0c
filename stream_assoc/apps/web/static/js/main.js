// Routes, search, theme, and the banners of services that are unavailable.

import { h, tip } from "./dom.js";
import { connect, live, subscribe } from "./live.js";
import { liveView } from "./views/live.js";
import { objectView } from "./views/object.js";
import { objectsView, searchView } from "./views/objects.js";
import { skyView } from "./views/sky.js";
import { sourceView } from "./views/source.js";
import { visitView } from "./views/visit.js";

const PAGES = { "": liveView, sky: skyView, objects: objectsView, object: objectView, source: sourceView, visit: visitView, search: searchView };
const WITH_NAME = ["object", "source", "visit", "search"];
const NAMES = { apdb: "The APDB", kafka: "Kafka" };

const view = document.getElementById("view");
const query = document.getElementById("query");
const banners = document.getElementById("banners");
const connection = document.getElementById("connection");
const themeButton = document.getElementById("theme");

let shown = null;
let leaving = null;

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // Not percent-encoded after all.
  }
}

function unknownView(element, address) {
  element.replaceChildren(
    h("h1", null, "There is no such page"),
    h("div", { class: "failure", role: "alert" }, h("p", null, "Nothing is at ", h("code", null, address.slice(0, 200)), ". Use the links above, or search for an id, a visit or a position.")),
  );
  return { update() {}, recolour() {}, end() {} };
}

function route() {
  const [, page, rest = ""] = location.hash.match(/^#\/([^/]*)\/?(.*)$/s) ?? ["", location.hash.slice(1)];
  leaving?.abort();
  shown?.end();
  tip(null);
  leaving = new AbortController();
  const name = page;
  const isKnown = Object.hasOwn(PAGES, page) && (WITH_NAME.includes(page) ? rest !== "" : page === "sky" || rest === "");
  shown = isKnown ? PAGES[page](view, decoded(rest), leaving.signal) : unknownView(view, location.hash);
  const section = { object: "objects", search: "objects", source: "objects", visit: "" }[name] ?? name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${section}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = name ? `${name} ${rest.slice(0, 40)} · stream_assoc` : "stream_assoc";
  scrollTo(0, 0);
  shown.update();
}

function bannersOf() {
  const list = [];
  const { state, retryAt } = live.connection;
  if (state === "lost" || state === "reconnecting") {
    const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const text = state === "lost" ? `Trying again in ${seconds} s.` : "Trying again…";
    list.push(["bad", `The connection to the dashboard's server is lost; this page may be out of date. ${text}`, true]);
  }
  if (state === "live") {
    for (const [name, service] of Object.entries(live.states.services)) {
      if (!service.isUp) list.push(["", `${NAMES[name] ?? name} is unavailable: ${service.message}`, false]);
      else if (service.message) list.push(["", `Pages may lack what came last: ${service.message}`, false]);
    }
  }
  return list;
}

let bannersShown = "";

function showState() {
  const { state } = live.connection;
  const isLost = state === "lost" || state === "reconnecting";
  connection.dataset.state = isLost ? "lost" : state;
  connection.textContent = { connecting: "connecting", live: "live" }[state] ?? "disconnected";
  const list = bannersOf();
  const key = JSON.stringify(list);
  if (key === bannersShown) return;
  bannersShown = key;
  banners.replaceChildren(
    ...list.map(([kind, text, canRetry]) =>
      h("div", { class: `banner ${kind}` }, h("span", null, text), canRetry && h("button", { type: "button", onclick: connect }, "Try now")),
    ),
  );
}

const darkScreen = matchMedia("(prefers-color-scheme: dark)");

function stored() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // The browser keeps nothing: follow the theme of the screen.
  }
}

let chosen = stored();

function showTheme() {
  const dark = chosen ? chosen === "dark" : darkScreen.matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  themeButton.textContent = dark ? "☀" : "☾";
  themeButton.setAttribute("aria-label", dark ? "Light colours" : "Dark colours");
  shown?.recolour();
}

themeButton.addEventListener("click", () => {
  chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("theme", chosen);
  } catch {
    // The choice holds until the page is left.
  }
  showTheme();
});
darkScreen.addEventListener("change", showTheme);

document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = query.value.trim();
  if (text) location.hash = `#/search/${encodeURIComponent(text)}`;
  query.blur();
});

addEventListener("hashchange", route);
addEventListener("resize", () => shown?.recolour());
subscribe(showState);
subscribe(() => shown?.update());
setInterval(showState, 1000);
showTheme();
route();
connect();
