/**
 * What names an adapter in the store of tuned variants: its vendor, architecture and driver, and the browser that compiles
 * for it, by major version, as each release may compile otherwise. Firefox keeps the adapter to itself; there all that is
 * known is the browser, and a changed graphics card is noticed only by the next version of either.
 */

import type { OpenedDevice } from './device.ts';

/** `browser` as `browserOf` or a shell names it, e.g. `firefox 153`. */
export const adapterKeyOf = ({ vendor, architecture, description }: OpenedDevice['adapter'], browser: string): string =>
  [vendor || '-', architecture || '-', description || '-', browser].join(' | ').toLowerCase();

/** Engine and major version from a user agent: `chrome 156`, `firefox 153`, `safari 26`, or `unknown`. */
export function browserOf(userAgent: string): string {
  const known = [
    ['edge', /Edg\/(\d+)/],
    ['firefox', /Firefox\/(\d+)/],
    ['chrome', /Chrom(?:e|ium)\/(\d+)/],
    ['safari', /Version\/(\d+)[\d.]* .*Safari\//],
  ] as const;
  for (const [name, pattern] of known) {
    const major = pattern.exec(userAgent)?.[1];
    if (major !== undefined) return `${name} ${major}`;
  }
  return 'unknown';
}
