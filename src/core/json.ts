/** Plain data as it stands in logs and headers. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
