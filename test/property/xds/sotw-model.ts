import type { DecodableType } from '../../../src/xds/protocol.js';
import { packed, readRequest, response } from '../../unit/xds/engine-fixtures.js';
import type { ModelServer } from './model-world.js';

interface ServerStream {
  /** Names of the last request that was taken; undefined before the first. */
  names: ReadonlySet<string> | undefined;
  /** Names whose newest value was sent on this stream. */
  sent: Set<string>;
  nonce: string;
  /** Version that was sent last; empty when it was refused. */
  version: string;
  hasWatch: boolean;
}

/**
 * One type of a server whose version is a hash of the content. It ignores stale nonces, answers a refusal at once, and
 * sends only the names that are new while the version stays, as go-control-plane does. With `isTerse` it
 * sends nothing to a client that comes back with the current version.
 */
export class SotwModel implements ModelServer {
  readonly words = new Map<string, string>();
  readonly toClient: Uint8Array[] = [];
  #nonces = 0;
  #last: Uint8Array | undefined;
  #stream: ServerStream | undefined;

  constructor(
    readonly type: DecodableType,
    readonly isTerse: boolean,
  ) {}

  set(name: string, word: string | undefined): void {
    if (word === undefined) this.words.delete(name);
    else this.words.set(name, word);
    this.#push();
  }

  get tellsRemovals(): boolean {
    return this.type.complete;
  }

  repeat(): void {
    if (this.#last !== undefined) this.toClient.push(this.#last);
  }

  open(): void {
    this.toClient.length = 0;
    this.#last = undefined;
    this.#stream = { names: undefined, sent: new Set(), nonce: '', version: '', hasWatch: false };
  }

  take(bytes: Uint8Array): void {
    const stream = this.#stream;
    const request = readRequest(bytes);
    if (stream === undefined || request === undefined || request.nonce !== stream.nonce) return;
    const isKnown = stream.names === undefined && this.isTerse && request.version === this.#version;
    // Naming nothing, before anything was named, means everything.
    const isWildcard = request.names.length === 0 && [...(stream.names ?? ['*'])].join() === '*';
    stream.names = new Set(isWildcard ? ['*'] : request.names);
    if (isKnown) stream.version = request.version;
    if (isKnown) for (const name of this.words.keys()) stream.sent.add(name);
    for (const name of stream.sent) if (!this.#wants(stream, name)) stream.sent.delete(name);
    if (request.error !== undefined || request.version === '') stream.version = '';
    stream.hasWatch = true;
    this.#push();
  }

  get #version(): string {
    return `v${JSON.stringify([...this.words].sort())}`;
  }

  #wants(stream: ServerStream, name: string): boolean {
    return stream.names?.has('*') === true || stream.names?.has(name) === true;
  }

  #push(): void {
    const stream = this.#stream;
    if (stream === undefined || !stream.hasWatch) return;
    const version = this.#version;
    const wanted = [...this.words].filter(([name]) => this.#wants(stream, name));
    const fresh = wanted.filter(([name]) => !stream.sent.has(name));
    const isNewVersion = stream.version !== version;
    if (!isNewVersion && fresh.length === 0) return;
    const list = isNewVersion || this.type.complete ? wanted : fresh;
    stream.nonce = `n${++this.#nonces}`;
    stream.version = version;
    stream.hasWatch = false;
    for (const [name] of list) stream.sent.add(name);
    const resources = list.map(([name, word]) => packed(this.type, name, word));
    this.#last = response(this.type, version, stream.nonce, resources);
    this.toClient.push(this.#last);
  }
}
