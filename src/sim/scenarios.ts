/** Named worlds. Each says in a sentence what it is for; what it leaves out is as in `steady`. */

export interface Scenario {
  readonly name: string;
  readonly story: string;
  readonly volunteers: number;
  readonly units: number;
  /** Agreeing results that a unit needs. */
  readonly replicas: number;
  /** Slowest and fastest volunteer; speeds are log-uniform between them. */
  readonly speeds: readonly [number, number];
  /** What a unit of usual size takes at speed 1. */
  readonly unitSeconds: number;
  /** Units are of one size, or between a half and twice of it. */
  readonly sizes: 'equal' | 'mixed';
  /** Shortest and longest one-way delay of a link. */
  readonly latencyMs: readonly [number, number];
  /** What a commit of the store takes. */
  readonly commitMs: number;
  /** Largest rounding difference of honest devices; outputs agree within 1. */
  readonly rounding: number;
  /** Volunteers that always lie, lie now and then, fail now and then, hang now and then. */
  readonly liars: number;
  readonly sometimesLiars: number;
  readonly failing: number;
  readonly hanging: number;
  /** Tabs of one account, and machines behind one address, in groups of so many among the last volunteers. */
  readonly twins: number;
  /** Volunteers that come in the first minute instead of at the start. */
  readonly late: number;
  /** Volunteers that leave for good, half of them without a word. */
  readonly vanishing: number;
  /** Volunteers whose tab is hidden now and then. */
  readonly hidden: number;
  /** How often a link breaks, for each link in seconds on average; Infinity for never. */
  readonly linkSeconds: number;
  readonly crashes: number;
  readonly partitions: number;
  /** Until when all this happens; then the network is whole. */
  readonly healSeconds: number;
  readonly training:
    { readonly workers: number; readonly rounds: number; readonly method: 'diloco' | 'solo' } | undefined;
  /** By when every job must have finished. */
  readonly endSeconds: number;
}

const steady: Scenario = {
  name: 'steady',
  story: 'Honest volunteers of very unequal speed on quiet links: how near to the best possible time?',
  volunteers: 100,
  units: 2000,
  replicas: 2,
  speeds: [1, 50],
  unitSeconds: 60,
  sizes: 'equal',
  latencyMs: [5, 60],
  commitMs: 2,
  rounding: 0.4,
  liars: 0,
  sometimesLiars: 0,
  failing: 0,
  hanging: 0,
  twins: 0,
  late: 0,
  vanishing: 0,
  hidden: 0,
  linkSeconds: Infinity,
  crashes: 0,
  partitions: 0,
  healSeconds: 0,
  training: undefined,
  endSeconds: 1_000_000,
};

const chaos: Scenario = {
  ...steady,
  name: 'chaos',
  story:
    'Everything at once: lies, failures, hanging devices, lost links, partitions, crashes of the hub; and a training beside it.',
  volunteers: 16,
  units: 60,
  speeds: [1, 10],
  unitSeconds: 8,
  sizes: 'mixed',
  liars: 2,
  sometimesLiars: 1,
  failing: 2,
  hanging: 1,
  twins: 2,
  late: 2,
  vanishing: 4,
  hidden: 3,
  linkSeconds: 20,
  crashes: 3,
  partitions: 1,
  healSeconds: 40,
  training: { workers: 3, rounds: 3, method: 'diloco' },
  endSeconds: 1_200,
};

const all: readonly Scenario[] = [
  steady,
  chaos,
  {
    ...steady,
    name: 'life-of-a-unit',
    story: 'One unit, two honest volunteers: its life from the SDK to the ledger, as a trace to read.',
    volunteers: 2,
    units: 1,
    speeds: [1, 2],
    unitSeconds: 2,
    endSeconds: 60,
  },
  {
    ...steady,
    name: 'liars',
    story: 'A tenth lies always, a tenth now and then, and honest devices round differently.',
    rounding: 0.5,
    volunteers: 50,
    units: 1000,
    liars: 5,
    sometimesLiars: 5,
  },
  {
    ...steady,
    name: 'churn',
    story: 'Tabs come late, hide and leave; links break about once a minute.',
    late: 20,
    vanishing: 30,
    hidden: 20,
    linkSeconds: 60,
    healSeconds: 120,
  },
  {
    ...steady,
    name: 'crashes',
    story: 'The hub dies ten times and goes on from its log.',
    crashes: 10,
    healSeconds: 120,
  },
  {
    ...steady,
    name: 'training',
    story: 'A training with four seats among tabs that close and come back.',
    volunteers: 8,
    units: 0,
    speeds: [1, 4],
    unitSeconds: 10,
    vanishing: 2,
    hidden: 3,
    linkSeconds: 40,
    crashes: 1,
    healSeconds: 60,
    training: { workers: 4, rounds: 10, method: 'diloco' },
    endSeconds: 3_000,
  },
  {
    ...steady,
    name: 'solo',
    story: 'Each seat trains alone, the control of the distributed methods.',
    volunteers: 4,
    units: 0,
    speeds: [1, 4],
    unitSeconds: 10,
    linkSeconds: 60,
    healSeconds: 60,
    training: { workers: 3, rounds: 5, method: 'solo' },
    endSeconds: 3_000,
  },
];

export const scenarios: ReadonlyMap<string, Scenario> = new Map(all.map((scenario) => [scenario.name, scenario]));
