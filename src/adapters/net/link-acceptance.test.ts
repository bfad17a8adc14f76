/** The acceptance suite on memory links; Node's sockets and WebRTC run it from `src/node/net`, browsers from `e2e`. */

import { describe, test } from 'vitest';
import { linkCases } from './link-acceptance.ts';
import { createPartner } from './link-partner.ts';
import { createMemoryLinks } from './memory-link.ts';

describe('memory links', () => {
  for (const { name, run } of linkCases) {
    test(name, async () => {
      const [near, far] = createMemoryLinks();
      await run({ near, far: createPartner(far) });
    });
  }
});
