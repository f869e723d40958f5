import type { ResourceSet } from '../compile/resource-set.js';
import type { EncodedResource, ResourceEncoder, ServedType } from './resources.js';
import { versionOf, wildcardNames } from './resources.js';
import type { TypeStatus } from './status.js';

/** The wildcard of the xDS protocol. */
const WILDCARD = '*';
/** Names one client may ask for; more is a fault or an attack. */
export const MAX_NAMES = 200_000;

/** One response to send. */
export interface PendingResponse {
  readonly type: ServedType;
  readonly version: string;
  readonly nonce: string;
  readonly resources: readonly EncodedResource[];
}

/** What of a request concerns one subscription. */
export interface TypeRequest {
  readonly names: readonly string[];
  readonly nonce: string;
  readonly error: string | undefined;
}

/**
 * One type on one state-of-the-world stream. It remembers what was sent last *on this stream* and answers only when
 * that differs from what there is: a version that the client shows proves nothing about this stream.
 */
export class Subscription {
  readonly type: ServedType;
  #names: ReadonlySet<string> = new Set();
  #isWildcard = false;
  /** Legacy wildcard: no name was ever sent for LDS or CDS. */
  #everNamed = false;
  #owesAnswer = false;
  #sent: { readonly version: string; readonly nonce: string; readonly count: number } | undefined;
  #accepted: string | undefined;
  #error: string | undefined;

  constructor(type: ServedType) {
    this.type = type;
  }

  /** Takes a request in. Returns what it says about our last response: accepted, refused, or nothing new. */
  receive(request: TypeRequest): 'ack' | 'nack' | 'subscribe' | 'stale' {
    // xDS: an answer to anything but the newest response was overtaken; a newer request follows it.
    if (request.nonce !== '' && request.nonce !== this.#sent?.nonce) return 'stale';
    const added = this.#subscribe(request.names);
    if (added) this.#owesAnswer = true;
    if (request.nonce === '' || this.#sent === undefined) {
      this.#owesAnswer = true;
      return 'subscribe';
    }
    if (request.error !== undefined) {
      this.#error = request.error;
      return 'nack';
    }
    this.#error = undefined;
    const isNew = this.#accepted !== this.#sent.version;
    this.#accepted = this.#sent.version;
    return added && !isNew ? 'subscribe' : 'ack';
  }

  /** The response that is due, if one is. After a refusal nothing is sent until there is something else to send. */
  next(set: ResourceSet, encoder: ResourceEncoder, nonce: () => string): PendingResponse | undefined {
    const resources = this.#select(set, encoder);
    const version = versionOf(resources);
    if (!this.#owesAnswer && version === this.#sent?.version) return undefined;
    this.#owesAnswer = false;
    this.#sent = { version, nonce: nonce(), count: resources.length };
    return { type: this.type, version, nonce: this.#sent.nonce, resources };
  }

  status(): TypeStatus {
    const sent = this.#sent;
    const state =
      sent === undefined
        ? 'NOT SENT'
        : this.#error !== undefined
          ? 'NACKED'
          : sent.version === this.#accepted
            ? 'SYNCED'
            : 'STALE';
    return {
      type: this.type.short,
      state,
      sent: sent?.version,
      accepted: this.#accepted,
      error: this.#error,
      resources: sent?.count ?? 0,
    };
  }

  #subscribe(names: readonly string[]): boolean {
    const next = new Set(names);
    const wildcard = next.delete(WILDCARD) || (names.length === 0 && !this.#everNamed && this.type.complete);
    const added = (wildcard && !this.#isWildcard) || [...next].some((name) => !this.#names.has(name));
    this.#everNamed ||= names.length > 0;
    this.#names = next;
    this.#isWildcard = wildcard;
    return added;
  }

  #select(set: ResourceSet, encoder: ResourceEncoder): EncodedResource[] {
    const names = this.#isWildcard
      ? new Set([...wildcardNames(set, this.type), ...this.#names])
      : this.#names;
    const resources: EncodedResource[] = [];
    for (const name of [...names].sort()) {
      const resource = encoder.get(set, this.type, name);
      if (resource !== undefined) resources.push(resource);
    }
    return resources;
  }
}
