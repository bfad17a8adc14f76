/** What both pages that show a device say of one that is no GPU. */

export const softwareText =
  'This is a software adapter: the processor does a GPU’s work. Its results count the same, but it is slow. If this ' +
  'computer has a GPU, turn hardware acceleration on in the browser’s settings.';
