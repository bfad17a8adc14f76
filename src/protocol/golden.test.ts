/**
 * The wire, frozen: SHA-256 of the frame of one example of every message. A difference means that older tabs and hubs
 * read something else; if that is meant, raise `protocolVersion` together with these digests.
 */

import { expect, test } from 'vitest';
import { toHex } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { encodeFrame } from './frame.ts';
import { messageExamples } from './message-examples.ts';
import { messagesWithTail, type MessageType } from './messages.ts';
import { protocolVersion } from './versions.ts';

const golden: Readonly<Record<MessageType, string>> = {
  hello: 'af585abd92d03762f65ea532e5e9b0196454bd1ea7b960338c58433cf9968098',
  prove: '00af75b6c0c0f03d9d0aa57dbb889fac35a2c59b043aa9dd233c54dc02ce7b4d',
  ping: '0b3e0d928428b41a478415dbe533501d3499626b43a086125137d9ba37ddba90',
  pong: '5eeb39a0d50d8ab7b55b762556ca301fa83e9d9be314ff5bd16f58ffefba5b49',
  refused: '86518cf70848183f2cea19c31906225bbcc7d35cede1abaa5dabbdb69e8b32a3',
  'chunk-get': 'df9fbf0f8cd67f84a013b996be4e420b61fba8b7fe2b6e11e37397f0cce5df5c',
  chunk: '3649c0ca7daa05467289ed18b85b7ed053d182664d97930c900fb7a0b8b2613f',
  'chunk-missing': 'e534553e8f15dab9bd70c28804b25bb9e4cdd5cb3fbf10c1b02457f3ee7f817d',
  'chunks-held': 'a52a1b8417350073164a2633a4bf31409f1f0a1acdcd15e3760376e636a8c121',
  'chunks-sought': '0a0ccb25781099e725ba7210ecc58dc387452e3b9370a847e4f23953bcecf1d9',
  'chunk-sources': '2eadbc5433637218f9aa9d0e3843869468b194c0b9743c61b2b258269a36853c',
  'peer-ready': '0a761c060f4a6e47d20c09bc3df5d582be6cb282156d64e512ea4fa51edf6bc4',
  ready: 'dd699e281ace16440c3f8038d1210c10c7d572ba9e8d36439779c66b3a81f4ee',
  pull: '594c2c8b934b84b5922608695da3a467357061f3bd9eb2587782b05901cee4f2',
  progress: '413558caa601dd8e92780b8fa2c90799cbe6aaf2ef3d4eea7764e7ff773a0bdc',
  result: '9d05ae697f2a9f5c04bf20dd421ca3cc8f07bd05479da90b62f467dd6c46a489',
  failed: '31d1dcb1ab696126c2be10c57b961f90fce79cefba68626681cd258692437ffe',
  release: 'f353d88127669fe0c6be1a0a7d20fe5d99643e90ee65ebb565149888115815b5',
  lease: 'd4a66c3d1ccbd8d8a027dc0fed418ffae605b8e4d7038a68605407cec7a4dc95',
  revoke: '11ecc75d4e6a45fcd7f06e4a626a334e764bb978117409776630f2c452d885a0',
  settled: 'bb852436de2d46d952a7f0f2262c8dfe601e4cbcb8f70cd684fa999d2ca71ba0',
  standing: '4334ecbcac198357b6d19a6fc27dd0d84f79d839df3e04ae6db9d9395aa50f63',
  submit: 'c0fc771d1aabad1dd10b09a7dc07d71efe2f70691b1d4a2a05cca0fa96b19657',
  'chunks-wanted': '04ec44fe7ce341c1b4cf05a719db9c29f3e1a7ad5966e3c87883f900adbd3601',
  watch: 'd7eff8d5bc00b35f7a71a492b45e22e9eb5f0218eccbfeebd9a77e2eefd36773',
  cancel: '23349e9a9d34af8be9988a0b94a128aaa1616d5a86059c5b093532ef83fec557',
  'list-jobs': '303806175ca03c54f305f67b3e331c1cad3634e11c140600b347dc950f1b7b16',
  jobs: '67be8a0ee5d3900457ef2d48409949777cc25dc7f4b5f816811d04d3dccd61bb',
  'job-state': '98a5f5b347098995c939c1bcf264d73bc1cf94c4fe770dd3c63efbdee47e633e',
  'unit-accepted': 'a7d8fa66441c8fd0bb6d85cfeff16a9a67e571550c917c418f3a21af13b5f3ec',
  'stage-ready': 'ec5c429aee11dc430e236b11cb0dea32a76385d90c3db0287f31b577c2305e5b',
  'stage-wire': '32d7e8ffd09cee9e6e3544d762833e7e47dfbec8439299687192cd4929c4d6e6',
  'stage-open': '67110e569d46e8d858f128d8fd22f919d329f5241e7cc52a4b5d22d80a59eb0b',
  'stage-close': '3bf430dd37fd1a3f7b44dd8016d1737829c05a896cbe61e34018d35791e0ddca',
  'stage-tokens': 'e1436efcbb57e0daf5588174aa6e067df80c46fa8f320e58c89aded4bb9bdcc3',
  'stage-rows': 'b98b0de4355dd52fcae8d24f22e74e7a63f794fba6c3a50a976e727e1033a4f7',
  'stage-want': 'd4c193668a32b100da01e4e9f138bb2dddfc391a617ce20229eef8431d603342',
  ask: '61d90680ae7fa71b2f3848feaf80716a3920ccb80e0098037813129f36476c20',
  'ask-stop': '501e30a27f417363146f7d177539f805944a4f1d615a2ad78a26ebdec2f22fd8',
  answer: 'e756fd124cf23e28dc1857d99d0a195dd130ccfdbf1de85ac168f04bed4a9f9e',
  answered: '220942f0b5ddaa716af8ecdb2827e391d0d25a157b02368d9182fb5470de5515',
  'ask-refused': 'fb9134ed7e0c230977fdabe1251d8de751abfba482b3aa1d522beba3cfbd8836',
};

test('the digests below are those of protocol version 2', () => {
  expect(protocolVersion).toBe(2);
});

test('a frame is its header length, its header and its aligned tails', () => {
  expect(toHex(encodeFrame({ type: 'pull', slots: 4 }))).toBe(
    '19000000' + toHex(new TextEncoder().encode('{"type":"pull","slots":4}')),
  );
  expect(toHex(encodeFrame({ a: 1 }, [Uint8Array.of(1, 2, 3)]))).toBe(
    '13000000' + toHex(new TextEncoder().encode('{"a":1,"tails":[3]}')) + '00' + '010203',
  );
});

test.each(Object.entries(messageExamples) as [MessageType, object][])(
  '%s has the bytes that it always had',
  (type, message) => {
    const tails = messagesWithTail.has(type) ? [Uint8Array.of(1, 2, 3)] : [];
    expect(sha256(encodeFrame(message, tails))).toBe(golden[type]);
  },
);
