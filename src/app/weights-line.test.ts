/** What the page says about where bytes came from. */

import { expect, test } from 'vitest';
import { weightsText } from './weights-line.ts';

const none = { cached: 0, hub: 0, peers: 0, givers: 0, passedOn: 0, wasted: 0 };

test('each source is named with its bytes, and what is nothing is left out', () => {
  expect(weightsText({ ...none, peers: 5_200_000, givers: 3, hub: 1_100_000, cached: 2_000_000 })).toBe(
    'Weights and data: 5.2 MB from 3 peers, 1.1 MB from the hub, 2.0 MB cached',
  );
  expect(weightsText({ ...none, peers: 5_200_000, givers: 1, passedOn: 4_000_000 })).toBe(
    'Weights and data: 5.2 MB from 1 peer; 4.0 MB passed on to others',
  );
  expect(weightsText(none)).toBe('Weights and data: nothing yet');
});
