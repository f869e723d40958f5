/** Error codes of RFC 9113 §7 that are sent or looked for. */
export const CODES = { NO_ERROR: 0, FRAME_SIZE_ERROR: 6, REFUSED_STREAM: 7, CANCEL: 8 } as const;
