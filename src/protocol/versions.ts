/** The versions that a hello carries. A mismatch is refused with both named; a bump is deliberate. */

export const protocolVersion = 2;
export const jobFileVersion = 1;
/** Raised when a program's meaning or a kernel's arithmetic changes: an older tab reloads itself. */
export const programSetVersion = 1;
