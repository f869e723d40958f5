import type * as Http2 from 'node:http2';
import { createRequire } from 'node:module';

const requireModule = createRequire(import.meta.url);
let loaded: typeof Http2 | undefined;

/** Node's HTTP/2, loaded with the first connection: a process that speaks HTTP/1.1 only does without. */
export function http2Library(): typeof Http2 {
  loaded ??= requireModule('node:http2') as typeof Http2;
  return loaded;
}
