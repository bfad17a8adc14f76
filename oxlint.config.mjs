/**
 * The linter's rules, and the layers of the house: imports go one way, down the table below. Each layer also names its
 * neighbours, which stand on the same step and do not import each other. `src/layers.test.ts` proves that each rule bites.
 */

/** From the shells down to the language of the project; a layer may import those below its own step. */
const steps = [
  ['app', 'widget', 'sdk', 'node'],
  ['assembly'],
  ['adapters', 'sim'],
  ['swarm', 'programs'],
  ['learning', 'inference'],
  ['models'],
  ['kernels', 'protocol'],
  ['core'],
];
const shells = steps[0] ?? [];
/** Layers that may touch a platform; below them time, chance, ids and I/O are arguments. */
const platformed = ['assembly', 'adapters', ...shells];
const adapters = ['browser', 'clock', 'crypto', 'gpu', 'net', 'source', 'store', 'worker'];

const platformPackages = 'comlink|peerjs|idb|lit|uplot|echarts|@electric-sql/pglite';
const nodePackages = 'ws|webgpu|node-datachannel|peer|commander|cli-progress|selfsigned|sirv|playwright|pg';
const nodeModules = 'fs|path|os|url|util|http|https|net|crypto|events|stream|buffer|child_process|worker_threads';
const platformGlobals =
  'Date performance setTimeout setInterval setImmediate clearTimeout clearInterval queueMicrotask ' +
  'requestAnimationFrame crypto navigator fetch localStorage sessionStorage indexedDB caches document window self ' +
  'globalThis location history process Buffer console Worker MessageChannel BroadcastChannel WebSocket XMLHttpRequest ' +
  'EventSource RTCPeerConnection postMessage addEventListener alert';
const untouched = 'Below the adapters nothing touches the platform: time, chance, ids and I/O are arguments.';

/** @param {readonly string[]} folders @param {string} message */
const noFolder = (folders, message) => ({ regex: `^(\\.\\./)+(${folders.join('|')})/`, message });

const noOutside = noFolder(['e2e', 'bench', 'examples'], 'The sources import no tests, benchmarks or examples.');
const noPlatformPackage = {
  regex: `^(${platformPackages})(/|$)`,
  message: 'A platform package belongs to an adapter or a shell: below them nothing touches a platform.',
};
const noNode = {
  regex: `^node:|^(${nodePackages})(/|$)|^(${nodeModules})(/|$)`,
  message: 'Node and its packages belong to src/node only.',
};

/** @param {string} layer */
function patternsOf(layer) {
  const step = steps.findIndex((names) => names.includes(layer));
  if (step === 0) {
    const others = shells.filter((name) => name !== layer && name !== 'sdk');
    const noShell = noFolder(others, 'Shells do not import one another, save that all may use sdk.');
    return layer === 'node' ? [noShell, noOutside] : [noShell, noNode, noOutside];
  }
  const neighbours = (steps[step] ?? []).filter((name) => name !== layer);
  return [
    noFolder(steps.slice(0, step).flat(), `Imports go one way: ${layer} is below this layer.`),
    ...neighbours.map((name) => noFolder([name], `${layer} and ${name} are neighbours and do not import each other.`)),
    ...(platformed.includes(layer) ? [] : [noPlatformPackage]),
    noNode,
    noOutside,
  ];
}

/** @param {readonly object[]} patterns */
const restrict = (patterns) => ({ 'no-restricted-imports': ['error', { patterns }] });

const pure = {
  'no-restricted-globals': ['error', ...platformGlobals.split(' ').map((name) => ({ name, message: untouched }))],
  'no-restricted-properties': ['error', { object: 'Math', property: 'random', message: untouched }],
};

const noOtherAdapter = noFolder(adapters, 'An adapter imports no other adapter; assembly composes them.');

export default {
  plugins: ['typescript', 'import', 'unicorn', 'oxc'],
  categories: { correctness: 'error', suspicious: 'error' },
  rules: {
    'typescript/no-explicit-any': 'error',
    'import/no-cycle': 'error',
    'import/no-unassigned-import': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'no-shadow': 'off',
    'no-useless-concat': 'off',
    'unicorn/no-useless-spread': 'off',
    'unicorn/no-array-reverse': 'off',
    'unicorn/no-array-sort': 'off',
    'unicorn/no-new-array': 'off',
    'no-unmodified-loop-condition': 'off',
  },
  ignorePatterns: ['dist', 'node_modules', '.tabswarm', 'demo-out'],
  overrides: [
    ...steps.flat().map((layer) => ({
      files: [`src/${layer}/**`],
      rules: { ...restrict(patternsOf(layer)), ...(platformed.includes(layer) ? {} : pure) },
    })),
    {
      files: adapters.map((name) => `src/adapters/${name}/**`),
      rules: restrict([...patternsOf('adapters'), noOtherAdapter]),
    },
    // A composition root: inside the worker it puts device, programs and the Comlink border together.
    { files: ['src/adapters/worker/compute-worker.ts'], rules: restrict(patternsOf('adapters')) },
    // The demo runs an example and holds it against the example's own truth.
    { files: ['src/node/demo/demo.ts'], rules: restrict(patternsOf('node').filter((one) => one !== noOutside)) },
    {
      files: ['src/**/*.test.ts', 'src/**/*-acceptance.ts', 'src/**/*.fixture.ts'],
      rules: { 'no-restricted-imports': 'off', 'no-restricted-globals': 'off', 'no-restricted-properties': 'off' },
    },
    // Playwright reads a fixture's needs from its first parameter, which must be a pattern, also an empty one.
    { files: ['e2e/**'], rules: { 'no-empty-pattern': 'off' } },
  ],
};
