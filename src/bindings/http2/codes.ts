/** Error codes of RFC 9113 §7 that are sent or looked for. */
export const CODES = { NO_ERROR: 0, CANCEL: 8, REFUSED_STREAM: 7 } as const;
