/** What is signed begins with a domain, so that a signature for one purpose can never serve another. */

export const signatureDomains = {
  session: 'tabswarm session v1\n',
  prove: 'tabswarm prove v1\n',
  signal: 'tabswarm signal v1\n',
  manifest: 'tabswarm manifest v1\n',
  receipt: 'tabswarm receipt v1\n',
  control: 'tabswarm control v1\n',
} as const;
export type SignatureDomain = keyof typeof signatureDomains;
