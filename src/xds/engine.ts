import { createDelta } from './delta.js';
import type { EngineOptions, Protocol } from './protocol.js';
import { createSotw } from './sotw.js';

/** The variants of the xDS protocol: every message has all there is, or what changed. */
export type ProtocolKind = 'sotw' | 'delta';

/** Makes a protocol engine. */
export function createEngine(kind: ProtocolKind, options: EngineOptions): Protocol {
  switch (kind) {
    case 'sotw':
      return createSotw(options);
    case 'delta':
      return createDelta(options);
  }
}
