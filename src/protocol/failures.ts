/**
 * What a volunteer's `failed` says beyond a text for people. A reason that begins so is the device's doing and not the
 * unit's: the hub lends that volunteer no more of the job, and does not count it towards the job's failing.
 */

export const deviceCannot = 'this device cannot run it: ';

export const isDeviceAtFault = (reason: string): boolean => reason.startsWith(deviceCannot);
