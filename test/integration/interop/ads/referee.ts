import type { Short } from './types.js';

/** A rule of the protocol that a client broke. */
export interface Violation {
  readonly rule: string;
  readonly type: string;
  readonly detail: string;
}

/** A refusal as the server heard it. */
export interface Nack {
  readonly type: Short;
  readonly message: string;
  readonly atMs: number;
}

/** What a client is known to hold, over all its streams: what it accepted, by type. */
export class Memory {
  /** State of the world: the version accepted last. */
  readonly accepted = new Map<Short, string>();
  /** What it may have accepted: its stream ended before it could say so. */
  readonly unsaid = new Map<Short, Set<string>>();
  /** Delta: name to accepted version. */
  readonly held = new Map<Short, Map<string, string>>();

  readonly #offered = new Set<string>();

  /** A version of a resource that was sent, whether or not the client took it. */
  offer(type: Short, name: string, version: string): void {
    this.#offered.add(JSON.stringify([type, name, version]));
  }

  offered(type: Short, name: string, version: string): boolean {
    return this.#offered.has(JSON.stringify([type, name, version]));
  }

  heldOf(type: Short): Map<string, string> {
    let found = this.held.get(type);
    if (found === undefined) {
      found = new Map();
      this.held.set(type, found);
    }
    return found;
  }
}

/** Writes down what clients do wrong, over all streams of a server. */
export class Referee {
  readonly violations: Violation[] = [];
  readonly nacks: Nack[] = [];
  /** Requests for everything once more, which the protocol allows. */
  refreshes = 0;
  acks = 0;
  requests = 0;
  /** Whatever a client may rightly ask for: it occurs in a resource of the server. */
  readonly mentioned = new Set<string>();
  readonly #memories = new Map<string, Memory>();

  memoryOf(nodeId: string): Memory {
    let found = this.#memories.get(nodeId);
    if (found === undefined) {
      found = new Memory();
      this.#memories.set(nodeId, found);
    }
    return found;
  }

  blame(rule: string, type: string, detail = ''): void {
    this.violations.push({ rule, type, detail });
  }

  /** The rules for any list of names in any request. */
  checkNames(type: Short, names: readonly string[]): void {
    if (new Set(names).size !== names.length) this.blame('names are not repeated', type, names.join());
    if (names.includes('')) this.blame('names are not empty', type);
    if (type === 'LDS') return;
    for (const name of names) {
      if (name !== '*' && !this.mentioned.has(name))
        this.blame('only what is referred to is asked for', type, name);
    }
  }
}
