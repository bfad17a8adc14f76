/**
 * The names by which parts of the swarm refer to each other. All are strings on the wire; the brands keep one kind
 * from being passed where another is meant.
 */

/** A plain key, as declaration files cannot name a symbol that is nobody's; no value has it. */
type Branded<Name extends string> = string & { readonly '~brand': Name };

/** SHA-256 of some bytes, 64 lower-case hex digits. */
export type Digest = Branded<'Digest'>;
/** A job is named by the digest of its manifest's bytes. */
export type JobId = Branded<'JobId'>;
/** An account is its Ed25519 public key, 64 lower-case hex digits; it outlives tabs and holds standing and credit. */
export type AccountId = Branded<'AccountId'>;
/** A peer is one tab or process: the first 32 hex digits of the SHA-256 of its session key. */
export type PeerId = Branded<'PeerId'>;

/** Units are numbered from zero inside their job; attempts from one inside their unit. */
export type UnitIndex = number;
export type AttemptNumber = number;

const digestPattern = /^[0-9a-f]{64}$/;
const peerPattern = /^[0-9a-f]{32}$/;

export const isDigest = (text: string): text is Digest => digestPattern.test(text);
export const isJobId = (text: string): text is JobId => digestPattern.test(text);
export const isAccountId = (text: string): text is AccountId => digestPattern.test(text);
export const isPeerId = (text: string): text is PeerId => peerPattern.test(text);

/** The job that a manifest with this digest describes. */
export const jobOfManifest = (manifest: Digest): JobId => manifest as string as JobId;
export const manifestOfJob = (job: JobId): Digest => job as string as Digest;
