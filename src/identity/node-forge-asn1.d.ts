/** The one file of node-forge that encodes ASN.1; loading the whole package costs 60 ms, this file 14. */
declare module 'node-forge/lib/asn1.js' {
  import type { asn1 } from 'node-forge';

  const encoder: typeof asn1;
  // biome-ignore lint/style/noDefaultExport: the shape of a CommonJS module
  export default encoder;
}
