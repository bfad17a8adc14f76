/**
 * The right to be this profile's only volunteer, as a Web Lock: tabs of one profile are one account, so a second one
 * would be no second opinion. A held lock also keeps the browser from freezing the tab.
 */

/** The function that gives the turn back, or undefined where another tab has it. */
export function takeTurn(name = 'tabswarm-volunteer'): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, async (lock) => {
        if (lock === null) {
          resolve(undefined);
          return;
        }
        await new Promise<void>((giveBack) => resolve(() => giveBack()));
      })
      .catch(reject);
  });
}
