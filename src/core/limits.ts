/** Every bound of the system: a name with its unit, and the reason for the number. */

/** A frame's JSON header; headers are validated before a tail is touched, so they stay small. */
export const headerBytesMax = 64 * 1024;
/** One frame with its tails: the largest result that a unit may return, plus its header. */
export const frameBytesMax = 80 * 1024 * 1024;
/** What one unit may return. Larger outputs belong into more units. */
export const resultBytesMax = 64 * 1024 * 1024;
/** Content-addressed bytes travel in pieces of this size, so that one lost piece costs little. */
export const chunkBytesMax = 1024 * 1024;
/** A data channel message; Chromium takes 256 KiB, 64 KiB measured fastest. */
export const fragmentBytesMax = 64 * 1024;
/** Above this many queued bytes a sender waits; Chromium's channel dies near 16 MB. */
export const bufferedBytesHigh = 4 * 1024 * 1024;
/** A waiting sender goes on when the queue has fallen below this. */
export const bufferedBytesLow = 1024 * 1024;
/** A signalling message: an SDP offer is 1 to 3 KiB. */
export const signalBytesMax = 64 * 1024;
/** Leases in one message; 64 leases fill about a third of a header. */
export const leasesPerMessageMax = 64;
/** Units of one job; a unit costs the hub some hundred bytes of memory. */
export const unitsPerJobMax = 1_000_000;
/** Agreeing results that a manifest may ask for. */
export const replicasMax = 16;
/** A unit that failed on this many volunteers fails its job: it is the job's fault, not theirs. */
export const unitFailuresMax = 3;
/** Credit for one attempt: sums of many stay exact, so that no job drowns what others earned. */
export const priceMax = 1_000_000;
/** f32 parameters of a trained model: the hub holds them several times over, and names their chunks in one header. */
export const trainedBytesMax = 512 * 1024 * 1024;
/** The shortest and longest time that a volunteer may hold a unit. */
export const leaseMsMin = 5_000;
export const leaseMsMax = 3_600_000;
/** Before anything was observed, a unit is trusted to take its manifest's `unitSeconds`; without that, this. */
export const unitSecondsDefault = 30;
/** Volunteers report progress this often; the hub pings silent peers in the same rhythm. */
export const heartbeatMs = 1_000;
/** A peer that has been silent for this long, or four times its slowest recent round trip, is lost. */
export const silenceMsMin = 2_000;
/** A dropped link is dialled again after this, doubling up to the maximum: back within 5 s of a hub's return. */
export const reconnectMsMin = 250;
export const reconnectMsMax = 2_000;
/** How far a signalling token's time may be off: clocks of volunteers differ, stolen tokens should not last. */
export const signalTokenSecondsMax = 600;
/** A new link must have said hello and proved its key within this; ICE and a slow tab included. */
export const handshakeMsMax = 15_000;
/** A peer that sends this many headers that cannot be read is let go. */
export const badMessagesMax = 3;
/** Tokens of a served model's longest sequence: they travel in headers, at most 7 bytes each. */
export const servedContextMax = 8_192;
/** Sequences that one pipeline of a served model works on at once; one message may speak of all of them. */
export const sequencesMax = 256;
/** Requests that wait for a served model; whoever comes then is told when to ask again. */
export const requestsWaitingMax = 128;
