/** Error codes of RFC 9113 §7 that are sent or looked for. */
export const CODES = { CANCEL: 8, REFUSED_STREAM: 7 } as const;
