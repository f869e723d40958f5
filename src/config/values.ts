/** A value of a document: what JSON can say. */
export type PlainValue =
  | null
  | string
  | number
  | boolean
  | readonly PlainValue[]
  | { readonly [name: string]: PlainValue | undefined };

/** A duration as documents write it: `1s`, `250ms`, `1.5s`, `1h30m`, `2m30s`. {@link seconds} and its like make one of a number. */
export type Duration =
  | '0'
  | `${number}h`
  | `${number}m`
  | `${number}s`
  | `${number}ms`
  | `${number}us`
  | `${number}ns`
  | `${number}h${number}m`
  | `${number}h${number}m${number}s`
  | `${number}h${number}s`
  | `${number}m${number}s`
  | `${number}s${number}ms`;

/** So many seconds: `seconds(1.5)` is `1.5s`. */
export function seconds(count: number): Duration {
  return `${count}s`;
}

/** So many milliseconds: `milliseconds(250)` is `250ms`. */
export function milliseconds(count: number): Duration {
  return `${count}ms`;
}

/** So many minutes: `minutes(5)` is `5m`. */
export function minutes(count: number): Duration {
  return `${count}m`;
}

/** So many hours: `hours(24)` is `24h`. */
export function hours(count: number): Duration {
  return `${count}h`;
}
