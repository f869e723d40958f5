/** What a configuration may cost before it is refused; each cap holds before the expensive step behind it. */
export interface ConfigLimits {
  /** Bytes of one file. */
  readonly fileBytes: number;
  /** Bytes of all files together. */
  readonly totalBytes: number;
  /** Lexical tokens of one file: bounds the time of parsing (measured: about 2.5 us a token). */
  readonly tokens: number;
  /** Documents of one file. */
  readonly documents: number;
  /** Nesting of maps and lists. */
  readonly depth: number;
  /** Values of one document after its aliases are written out. */
  readonly values: number;
  /** Aliases of one document. */
  readonly aliases: number;
  /** Complaints reported for one file. */
  readonly violations: number;
}

/** The caps that hold unless others are given. */
export const DEFAULT_LIMITS: ConfigLimits = {
  fileBytes: 1024 * 1024,
  totalBytes: 10 * 1024 * 1024,
  tokens: 500_000,
  documents: 10_000,
  depth: 64,
  values: 200_000,
  aliases: 100,
  violations: 100,
};
