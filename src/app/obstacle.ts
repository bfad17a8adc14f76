/** Why this browser cannot volunteer, known before anybody presses Start; undefined where nothing is in the way. */

export function obstacleHere(page: { readonly isSecureContext: boolean; readonly gpu: unknown }): string | undefined {
  if (!page.isSecureContext) {
    return (
      'Browsers give a page WebGPU, keys and storage only over https or on http://localhost. ' +
      'Open this page with https:// (a hub started with --https offers it), or on the computer that serves it.'
    );
  }
  if (page.gpu === undefined) {
    return (
      'This browser does not offer WebGPU, so this tab cannot compute. Use a current Chrome, Edge, Firefox or Safari, ' +
      'and turn hardware acceleration on in its settings.'
    );
  }
  return undefined;
}
