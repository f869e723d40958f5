import type { DecodableType } from '../../../src/xds/protocol.js';
import { deltaResponse, readDeltaRequest } from '../../unit/xds/engine-fixtures.js';
import type { ModelServer } from './model-world.js';

interface ServerStream {
  readonly names: Set<string>;
  /** Version that the client has of each name; empty = it knows that there is none. */
  readonly known: Map<string, string>;
  /** What was sent under a nonce that was not answered yet. */
  readonly open: Map<string, readonly string[]>;
  isFirst: boolean;
}

/**
 * One type of an incremental server. It sends a name again that is asked for again, or given up under the wildcard. An
 * eager one sends at once again what was refused.
 */
export class DeltaModel implements ModelServer {
  readonly words = new Map<string, string>();
  readonly toClient: Uint8Array[] = [];
  readonly tellsRemovals = true;
  #nonces = 0;
  #last: Uint8Array | undefined;
  #stream: ServerStream | undefined;

  constructor(
    readonly type: DecodableType,
    readonly isEager: boolean,
  ) {}

  set(name: string, word: string | undefined): void {
    if (word === undefined) this.words.delete(name);
    else this.words.set(name, word);
    this.#push();
  }

  open(): void {
    this.toClient.length = 0;
    this.#last = undefined;
    this.#stream = { names: new Set(), known: new Map(), open: new Map(), isFirst: true };
  }

  take(bytes: Uint8Array): void {
    const stream = this.#stream;
    const request = readDeltaRequest(bytes);
    if (stream === undefined || request === undefined) return;
    for (const [name, version] of Object.entries(request.initial)) stream.known.set(name, version);
    if (stream.isFirst && request.subscribe.length === 0) stream.names.add('*');
    for (const name of request.subscribe) {
      stream.names.add(name);
      if (!stream.isFirst) stream.known.delete(name);
    }
    for (const name of request.unsubscribe) {
      stream.names.delete(name);
      stream.known.delete(name);
    }
    for (const name of stream.known.keys()) if (!this.#wants(stream, name)) stream.known.delete(name);
    stream.isFirst = false;
    const sent = stream.open.get(request.nonce) ?? [];
    stream.open.delete(request.nonce);
    if (request.error !== undefined && this.isEager) for (const name of sent) stream.known.delete(name);
    this.#push();
  }

  repeat(): void {
    if (this.#last !== undefined) this.toClient.push(this.#last);
  }

  #push(): void {
    const stream = this.#stream;
    if (stream === undefined || stream.isFirst) return;
    const changed = [...this.words].filter(
      ([name, word]) => this.#wants(stream, name) && stream.known.get(name) !== word,
    );
    const removed = [...new Set([...stream.known.keys(), ...stream.names])].filter(
      (name) =>
        name !== '*' && !this.words.has(name) && this.#wants(stream, name) && stream.known.get(name) !== '',
    );
    if (changed.length === 0 && removed.length === 0) return;
    const nonce = `n${++this.#nonces}`;
    for (const [name, word] of changed) stream.known.set(name, word);
    for (const name of removed) stream.known.set(name, '');
    stream.open.set(
      nonce,
      changed.map(([name]) => name),
    );
    const resources = changed.map(([name, word]) => ({ name, word, version: word }));
    this.#last = deltaResponse(this.type, nonce, resources, removed);
    this.toClient.push(this.#last);
  }

  #wants(stream: ServerStream, name: string): boolean {
    return stream.names.has('*') || stream.names.has(name);
  }
}
