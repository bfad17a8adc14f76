import { describe, expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { messageExamples } from './message-examples.ts';
import { laneOf, messagesWithTail, parseMessage, type MessageType } from './messages.ts';

const line = (header: unknown): string => {
  const parsed = parseMessage(header);
  return parsed.ok ? 'ok' : parsed.error.text;
};
const examples = Object.entries(messageExamples) as [MessageType, Record<string, unknown>][];

describe('every message', () => {
  test.each(examples)('%s is taken as it stands', (type, message) => {
    const parsed = parseMessage(JSON.parse(JSON.stringify(message)));
    expect(parsed.ok && parsed.value).toEqual(message);
    expect(message['type']).toBe(type);
  });

  test.each(examples)('%s with a field that nobody knows is refused by that name', (_type, message) => {
    expect(line({ ...message, extra: 1 })).toBe('message: extra: unknown field, remove it');
  });

  const optional: Readonly<Record<string, readonly string[]>> = {
    'job-state': ['round', 'report', 'serving'],
    'stage-wire': ['previous', 'next'],
    'stage-tokens': ['to', 'from'],
    'stage-rows': ['to', 'from'],
    'stage-want': ['to', 'from'],
    'ask-stop': ['samples'],
    'ask-refused': ['retrySeconds'],
  };

  test.each(examples)('%s without one of its fields is refused by that name', (type, message) => {
    for (const field of Object.keys(message).filter((name) => name !== 'type')) {
      if (optional[type]?.includes(field) === true) continue;
      const { [field]: _left, ...rest } = message;
      expect(line(rest)).toBe(`message: ${field}: missing field`);
    }
  });

  test.each([1, 2])('survives having any one value replaced by another kind (seed %i)', (seed) => {
    const random = createRandom(seed);
    const odd: unknown[] = [null, -1, 1.5, 1e300, '', 'x', [], {}, true, [null], '__proto__'];
    for (const [type, message] of examples) {
      for (const field of Object.keys(message)) {
        const value = odd[random.below(odd.length)];
        expect(
          () => parseMessage({ ...message, [field]: value }),
          `${type}.${field} = ${JSON.stringify(value)}`,
        ).not.toThrow();
      }
    }
  });
});

describe('a message', () => {
  test.each([null, 3, 'ping', [], {}, { type: 'nonsense' }, { type: 3 }, { type: '__proto__' }])(
    'that is %j is refused',
    (header) => {
      expect(line(header)).toMatch(/^message: /);
    },
  );

  test('names a wrong field inside a list', () => {
    const lease = messageExamples.lease.leases[0];
    expect(line({ type: 'lease', leases: [lease, { ...lease, unit: -1 }] })).toMatch(/^message: leases\.1\.unit: /);
    expect(line({ type: 'lease', leases: [{ ...lease, seat: { round: 0 } }] })).toBe(
      'message: leases.0.seat.seat: missing field',
    );
    expect(line({ type: 'lease', leases: [] })).toMatch(/^message: leases: /);
    expect(line({ type: 'lease', leases: Array(65).fill(lease) })).toMatch(/^message: leases: /);
  });

  test('never carries a number that is none', () => {
    expect(line({ ...messageExamples.settled, credit: Infinity })).toMatch(/^message: credit: /);
    expect(line({ ...messageExamples.standing, credit: NaN })).toMatch(/^message: credit: /);
  });

  test('goes over the bulk lane exactly where it has a tail', () => {
    for (const [type] of examples) expect(laneOf(type)).toBe(messagesWithTail.has(type) ? 'bulk' : 'control');
    expect(laneOf('lease')).toBe('control');
    expect(laneOf('chunk')).toBe('bulk');
  });
});
