import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { discovery, wkt } from '../../../src/proto/xds.js';
import { AdsDeltaSession } from './ads-delta-session.js';

/** A DiscoveryRequest as a test looks at it. */
export interface SeenRequest {
  readonly typeUrl: string;
  readonly names: readonly string[];
  readonly version: string;
  readonly nonce: string;
  readonly nodeId: string | undefined;
  readonly error: string | undefined;
}

/** Reads an encoded request. */
export function readRequest(bytes: Uint8Array): SeenRequest {
  const message = fromBinary(discovery.DiscoveryRequestSchema, bytes);
  return {
    typeUrl: message.typeUrl,
    names: message.resourceNames,
    version: message.versionInfo,
    nonce: message.responseNonce,
    nodeId: message.node?.id,
    error: message.errorDetail?.message,
  };
}

/** The parts of a response; `resources` are type URL and bytes. */
export interface ResponseParts {
  readonly typeUrl: string;
  readonly version: string;
  readonly nonce: string;
  readonly resources: readonly (readonly [typeUrl: string, bytes: Uint8Array])[];
  readonly identifier?: string | undefined;
}

/** Encodes a response. */
export function writeResponse({ typeUrl, version, nonce, resources, identifier }: ResponseParts): Uint8Array {
  return toBinary(
    discovery.DiscoveryResponseSchema,
    create(discovery.DiscoveryResponseSchema, {
      typeUrl,
      versionInfo: version,
      nonce,
      ...(identifier !== undefined && { controlPlane: { identifier } }),
      resources: resources.map(([url, value]) => create(wkt.AnySchema, { typeUrl: url, value })),
    }),
  );
}

interface Encodable<T> {
  readonly typeUrl: string;
  encode(resource: T): Uint8Array;
}

/** One stream of a server. */
export interface Session {
  take(bytes: Uint8Array): void;
  push(): void;
  end(): void;
}

/** What a well-behaved server has; sessions hear of changes. */
export class AdsState {
  readonly seen: SeenRequest[] = [];
  readonly #resources = new Map<string, Map<string, Uint8Array>>();
  readonly #sessions = new Set<Session>();
  #version = 0;
  /** Names under which virtual hosts may be asked for, too, by their own. */
  readonly aliases = new Map<string, readonly string[]>();
  /** Types for which nothing is sent. */
  readonly muted = new Set<string>();
  /** What it says of itself. */
  identifier: string | undefined;

  get version(): string {
    return `v${this.#version}`;
  }

  /** Puts a resource without telling anybody yet. */
  put<T>(type: Encodable<T>, name: string, resource: T): this {
    return this.putBytes(type.typeUrl, name, type.encode(resource));
  }

  putBytes(typeUrl: string, name: string, bytes: Uint8Array): this {
    this.of(typeUrl).set(name, bytes);
    return this;
  }

  remove(type: { readonly typeUrl: string }, name: string): this {
    this.of(type.typeUrl).delete(name);
    return this;
  }

  of(typeUrl: string): Map<string, Uint8Array> {
    let found = this.#resources.get(typeUrl);
    if (found === undefined) {
      found = new Map();
      this.#resources.set(typeUrl, found);
    }
    return found;
  }

  /** Makes a new version of all that was put and sends it. */
  publish(): void {
    this.#version++;
    for (const session of this.#sessions) session.push();
  }

  /** A stream of the variant that the path of its method names. */
  session(send: (bytes: Uint8Array) => void, method = ''): Session {
    const end = () => void this.#sessions.delete(session);
    const session: Session = method.includes('/Delta')
      ? new AdsDeltaSession(this, send, end)
      : new AdsSession(this, send, end);
    this.#sessions.add(session);
    return session;
  }
}

/** One stream of a well-behaved server. */
export class AdsSession {
  readonly #state: AdsState;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #onEnd: () => void;
  readonly #types = new Map<string, { names: readonly string[]; sent: string; nonce: string }>();
  #nonces = 0;

  constructor(state: AdsState, send: (bytes: Uint8Array) => void, onEnd: () => void) {
    this.#state = state;
    this.#send = send;
    this.#onEnd = onEnd;
  }

  take(bytes: Uint8Array): void {
    const request = readRequest(bytes);
    this.#state.seen.push(request);
    const known = this.#types.get(request.typeUrl);
    if (known !== undefined && request.nonce !== known.nonce) return;
    // Naming nothing, before anything was named, means everything.
    const isWildcard = request.names.length === 0 && (known === undefined || known.names.join() === '*');
    const names = isWildcard ? ['*'] : request.names;
    const isSame = known !== undefined && known.names.join() === names.join();
    this.#types.set(request.typeUrl, {
      names,
      sent: isSame ? known.sent : '',
      nonce: known?.nonce ?? '',
    });
    if (request.error === undefined) this.push();
  }

  push(): void {
    for (const [typeUrl, type] of this.#types) {
      if (type.sent === this.#state.version || this.#state.muted.has(typeUrl)) continue;
      const all = [...this.#state.of(typeUrl)];
      const wanted = type.names.includes('*') ? all : all.filter(([name]) => type.names.includes(name));
      type.sent = this.#state.version;
      type.nonce = `${++this.#nonces}`;
      const resources = wanted.map(([, bytes]) => [typeUrl, bytes] as const);
      const { identifier } = this.#state;
      this.#send(writeResponse({ typeUrl, version: type.sent, nonce: type.nonce, resources, identifier }));
    }
  }

  end(): void {
    this.#onEnd();
  }
}
