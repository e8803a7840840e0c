// Numbers, times and positions for people.

export const BANDS = ["u", "g", "r", "i", "z", "y"];

const SECONDS_TAI_UTC = 37;
const COUNT = new Intl.NumberFormat("en");

/** Return a count with separators, a dash for none. */
export function count(value) {
  return value === null || value === undefined ? "–" : COUNT.format(value);
}

/** Return a number with some significant digits, a dash for none. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e5) return count(value).replace("-", "−");
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(digits - 1).replace("-", "−").replace("e−", "e-");
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(decimals, 8)).replace("-", "−");
}

/** Return a number with fixed decimals and a sign. */
export function signed(value, decimals) {
  if (value === null || value === undefined) return "–";
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(decimals);
}

/** Return MJD TAI as UTC; leap seconds have been 37 since 2017. */
export function utc(mjd) {
  if (mjd === null || mjd === undefined) return "–";
  const date = new Date((mjd - 40587) * 86400000 - SECONDS_TAI_UTC * 1000);
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** Return the time of day of MJD TAI, UTC. */
export function clock(mjd) {
  return utc(mjd).slice(11, 19);
}

/** Return MJD with five decimals, about a second. */
export function mjd(value) {
  return value === null || value === undefined ? "–" : value.toFixed(5);
}

function parts(value, decimals) {
  const scale = 10 ** decimals;
  const units = Math.round(value * 3600 * scale);
  const whole = Math.floor(units / (3600 * scale));
  const minutes = Math.floor(units / (60 * scale)) % 60;
  const seconds = ((units % (60 * scale)) / scale).toFixed(decimals).padStart(decimals ? decimals + 3 : 2, "0");
  return [whole, String(minutes).padStart(2, "0"), seconds];
}

/** Return a position in hours and degrees, as names of objects are made of. */
export function sexagesimal(ra, dec) {
  const [hours, raMinutes, raSeconds] = parts((((ra % 360) + 360) % 360) / 15, 2);
  const [degrees, minutes, seconds] = parts(Math.abs(dec), 1);
  const sign = dec < 0 ? "−" : "+";
  const pad = (value) => String(value).padStart(2, "0");
  return `${pad(hours % 24)}:${raMinutes}:${raSeconds} ${sign}${pad(degrees)}:${minutes}:${seconds}`;
}

/** Return a position in degrees. */
export function degrees(ra, dec) {
  return `${ra.toFixed(6)} ${signed(dec, 6)}`;
}

/** Return round numbers between two bounds, about as many as asked for. */
export function ticks(low, high, about) {
  if (!(high > low)) return [low];
  const raw = (high - low) / Math.max(1, about);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const values = [];
  for (let k = first; k * step <= high + step * 1e-9; k += 1) values.push(k * step);
  return values;
}

/** Return the label of a tick that belongs to others this far apart. */
export function tickLabel(value, step) {
  if (Math.abs(value) < step * 1e-6) return "0";
  if (Math.abs(value) >= 1e6) return value.toExponential(1).replace("-", "−");
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return decimalFormat(decimals).format(value).replace("-", "−");
}

const FORMATS = new Map();
function decimalFormat(decimals) {
  const limited = Math.min(decimals, 8);
  if (!FORMATS.has(limited)) {
    FORMATS.set(limited, new Intl.NumberFormat("en", { minimumFractionDigits: limited, maximumFractionDigits: limited }));
  }
  return FORMATS.get(limited);
}
