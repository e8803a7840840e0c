// The sphere on a plane. East is to the left, as the sky is seen. Angles in degrees.

const RAD = Math.PI / 180;

function wrap180(angle) {
  return angle - 360 * Math.floor((angle + 180) / 360);
}

/** Hammer's equal-area projection of the whole sky: an ellipse, |x| <= 2 and |y| <= 1, y to the north. */
export function hammer(ra, dec, ra0 = 0) {
  const longitude = wrap180(ra - ra0) * RAD;
  const latitude = dec * RAD;
  const scale = 1 / Math.sqrt(1 + Math.cos(latitude) * Math.cos(longitude / 2));
  return [-2 * scale * Math.cos(latitude) * Math.sin(longitude / 2), scale * Math.sin(latitude)];
}

/** The position of a point of Hammer's projection, or null outside of the ellipse. */
export function inverseHammer(x, y, ra0 = 0) {
  if ((x * x) / 4 + y * y > 1) return null;
  const z = Math.sqrt(1 - (x * x) / 8 - (y * y) / 2);
  const longitude = (2 * Math.atan2(-Math.SQRT2 * z * x, 2 * (2 * z * z - 1))) / RAD;
  const dec = Math.asin(Math.max(-1, Math.min(1, Math.SQRT2 * z * y))) / RAD;
  return [(((longitude + ra0) % 360) + 360) % 360, dec];
}

/** The gnomonic (tangent plane) projection round a position, in degrees on the plane; null on the far half. */
export function gnomonic(ra, dec, ra0, dec0) {
  const delta = (ra - ra0) * RAD;
  const [sin, cos] = [Math.sin(dec * RAD), Math.cos(dec * RAD)];
  const [sin0, cos0] = [Math.sin(dec0 * RAD), Math.cos(dec0 * RAD)];
  const height = sin0 * sin + cos0 * cos * Math.cos(delta);
  if (height <= 1e-6) return null;
  return [(-cos * Math.sin(delta)) / height / RAD, (cos0 * sin - sin0 * cos * Math.cos(delta)) / height / RAD];
}

/** The position of a point of the tangent plane. */
export function inverseGnomonic(x, y, ra0, dec0) {
  const [u, v] = [-x * RAD, y * RAD];
  const [sin0, cos0] = [Math.sin(dec0 * RAD), Math.cos(dec0 * RAD)];
  const ra = ra0 + Math.atan2(u, cos0 - v * sin0) / RAD;
  const dec = Math.asin((sin0 + v * cos0) / Math.sqrt(1 + u * u + v * v)) / RAD;
  return [((ra % 360) + 360) % 360, dec];
}
