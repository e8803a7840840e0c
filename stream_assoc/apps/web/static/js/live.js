// The stream of events, a bounded memory of it, and the listeners of its changes.

const KEPT = 2000;
const SILENCE_MS = 15000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15000;

/** The latest batches in order, no more than KEPT, and the states of the services. */
export const live = {
  batches: [],
  total: 0,
  states: { services: {}, lag: null, overview: null, deadLetters: { count: 0, reasons: {}, latest: [] } },
  connection: { state: "connecting", retryAt: 0 },
};

const listeners = new Set();
let frame = 0;
let source = null;
let retry = 0;
let watchdog = 0;
let waitMs = FIRST_WAIT_MS;

/** Call a function after changes, at most once a frame; return a function that unsubscribes. */
export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed() {
  if (frame) return;
  frame = requestAnimationFrame(() => {
    frame = 0;
    for (const listener of listeners) listener();
  });
}

/** Take batches in, in the order of their processing, and forget the oldest ones. */
export function append(batches) {
  const last = live.batches.at(-1);
  live.batches.push(...batches.slice(-KEPT));
  // Kafka delivers one partition after the other, above all when a page opens.
  const from = last && batches.length ? [last, ...batches] : batches;
  if (from.some((one, k) => k > 0 && one.timeProcessedMjdTai < from[k - 1].timeProcessedMjdTai)) {
    live.batches.sort((a, b) => a.timeProcessedMjdTai - b.timeProcessedMjdTai);
  }
  // Cut in strides: shifting two thousand entries for each new one would be waste.
  if (live.batches.length > KEPT * 1.25) live.batches.splice(0, live.batches.length - KEPT);
  live.total += batches.length;
  changed();
}

function alive() {
  clearTimeout(watchdog);
  watchdog = setTimeout(lost, SILENCE_MS);
}

function lost() {
  clearTimeout(watchdog);
  source?.close();
  source = null;
  live.connection = { state: "lost", retryAt: Date.now() + waitMs };
  clearTimeout(retry);
  retry = setTimeout(connect, waitMs);
  waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2);
  changed();
}

/** Connect, and again whenever the connection breaks, waiting longer each time. */
export function connect() {
  clearTimeout(retry);
  source?.close();
  if (live.connection.state !== "connecting") live.connection = { state: "reconnecting", retryAt: 0 };
  changed();
  const opened = new EventSource("/api/events");
  source = opened;
  alive();
  const on = (name, take) =>
    opened.addEventListener(name, (event) => {
      alive();
      take(JSON.parse(event.data));
    });
  on("hello", (hello) => {
    waitMs = FIRST_WAIT_MS;
    live.batches = [];
    live.total = 0;
    live.states = hello.states;
    live.connection = { state: "live", retryAt: 0 };
    append(hello.batches);
  });
  on("batches", append);
  on("states", (states) => {
    live.states = states;
    changed();
  });
  on("ping", () => {});
  opened.onerror = lost;
}
