/** Address blocks: two volunteers in one are taken for one household or data centre. Pure. */

const ipv4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

export const loopbackBlock = '127.0.0.0/8';

/** Private IPv4 (RFC 1918): a network whose machines all came by the operator's own invitation. */
const isPrivate = ([first, second]: readonly number[]): boolean =>
  first === 10 || (first === 192 && second === 168) || (first === 172 && (second ?? 0) >= 16 && (second ?? 0) < 32);

/**
 * The /24 of an IPv4 or the /48 of an IPv6 address, one name for all loopback addresses, or `unknown`. A private IPv4
 * address is a block of its own: in a home or a class all share one /24, and a second opinion could never be had.
 */
export function addressBlockOf(address: string | undefined | null): string {
  if (address === undefined || address === null) return 'unknown';
  const text = address
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/^::ffff:(?=\d+\.)/, '')
    .replace(/%.*$/, '');
  const four = ipv4.exec(text);
  if (four !== null) {
    const parts = four.slice(1).map(Number);
    if (parts.some((part) => part > 255)) return 'unknown';
    if (parts[0] === 127) return loopbackBlock;
    return isPrivate(parts) ? `${parts.join('.')}/32` : `${parts.slice(0, 3).join('.')}.0/24`;
  }
  if (!/^[0-9a-f:]+$/.test(text) || !text.includes(':')) return 'unknown';
  if (text === '::1') return loopbackBlock;
  const groups = expand(text);
  return groups === undefined
    ? 'unknown'
    : `${groups
        .slice(0, 3)
        .map((group) => group.toString(16))
        .join(':')}::/48`;
}

function expand(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [left = [], right = []] = halves.map((half) =>
    half === '' ? [] : half.split(':').map((group) => parseInt(group, 16)),
  );
  const missing = 8 - left.length - right.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...left, ...Array.from({ length: missing }, () => 0), ...right];
  return groups.every((group) => group >= 0 && group <= 0xffff) ? groups : undefined;
}
