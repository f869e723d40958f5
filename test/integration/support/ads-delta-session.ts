import { createHash } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { discovery, wkt } from '../../../src/proto/xds.js';
import { collectionOf, isCollection } from '../../../src/xds/resource-name.js';
import type { AdsState } from './ads-state.js';

interface DeltaType {
  readonly names: Set<string>;
  /** Version that the client has of each name; empty = it knows that there is none. */
  readonly known: Map<string, string>;
  /** xDS: who asks for everything is told, too, that there is nothing, or nothing new. */
  owesAnswer: boolean;
}

/** One stream of a well-behaved incremental server. */
export class AdsDeltaSession {
  readonly #state: AdsState;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #onEnd: () => void;
  readonly #types = new Map<string, DeltaType>();
  #nonces = 0;

  constructor(state: AdsState, send: (bytes: Uint8Array) => void, onEnd: () => void) {
    this.#state = state;
    this.#send = send;
    this.#onEnd = onEnd;
  }

  take(bytes: Uint8Array): void {
    const request = fromBinary(discovery.DeltaDiscoveryRequestSchema, bytes);
    const { typeUrl, resourceNamesSubscribe: added, resourceNamesUnsubscribe: removed } = request;
    this.#state.seen.push({
      typeUrl,
      names: added,
      version: JSON.stringify(request.initialResourceVersions),
      nonce: request.responseNonce,
      nodeId: request.node?.id,
      error: request.errorDetail?.message,
    });
    let type = this.#types.get(typeUrl);
    if (type === undefined) {
      const known = new Map(Object.entries(request.initialResourceVersions));
      const isWildcard = added.length === 0 || added.includes('*') || typeUrl.endsWith('.VirtualHost');
      type = { names: new Set(added.length === 0 ? ['*'] : []), known, owesAnswer: isWildcard };
      this.#types.set(typeUrl, type);
    } else for (const name of added) type.known.delete(name);
    for (const name of added) type.names.add(name);
    for (const name of removed) {
      type.names.delete(name);
      type.known.delete(name);
    }
    if (request.errorDetail === undefined) this.push();
  }

  push(): void {
    for (const [typeUrl, type] of this.#types)
      if (!this.#state.muted.has(typeUrl)) this.#pushType(typeUrl, type);
  }

  end(): void {
    this.#onEnd();
  }

  #pushType(typeUrl: string, type: DeltaType): void {
    const { names, known } = type;
    const all = this.#state.of(typeUrl);
    const isVhds = typeUrl.endsWith('.VirtualHost');
    const aliasesOf = (name: string) => (isVhds ? (this.#state.aliases.get(name) ?? []) : []);
    const isWanted = (name: string) =>
      names.has('*') ||
      names.has(name) ||
      names.has(collectionOf(name) ?? '') ||
      aliasesOf(name).some((alias) => names.has(alias));
    const isTable = (name: string) => isVhds && !name.includes('/');
    const resolved = new Set([...all.keys()].flatMap(aliasesOf));
    const resources: discovery.Resource[] = [];
    for (const [name, value] of all) {
      const version = createHash('sha256').update(value).digest('hex');
      if (!isWanted(name) || known.get(name) === version) continue;
      known.set(name, version);
      const resource = create(wkt.AnySchema, { typeUrl, value });
      const aliases = [...aliasesOf(name)];
      resources.push(create(discovery.ResourceSchema, { name, version, resource, aliases }));
    }
    for (const name of names) {
      if (!resolved.has(name) || known.get(name) === '') continue;
      // An alias that is asked for anew is answered with its resource.
      known.set(name, '');
      const target = [...all].find(([one]) => aliasesOf(one).includes(name));
      if (target === undefined || resources.some((one) => one.name === target[0])) continue;
      const version = createHash('sha256').update(target[1]).digest('hex');
      const resource = create(wkt.AnySchema, { typeUrl, value: target[1] });
      resources.push(
        create(discovery.ResourceSchema, { name: target[0], version, resource, aliases: [name] }),
      );
    }
    const gone = [...new Set([...known.keys(), ...names])].filter(
      (name) =>
        name !== '*' &&
        !isCollection(name) &&
        !isTable(name) &&
        !resolved.has(name) &&
        isWanted(name) &&
        !all.has(name) &&
        known.get(name) !== '',
    );
    for (const name of gone) known.set(name, '');
    if (resources.length === 0 && gone.length === 0 && !type.owesAnswer) return;
    type.owesAnswer = false;
    const nonce = `${++this.#nonces}`;
    const { identifier } = this.#state;
    const message = create(discovery.DeltaDiscoveryResponseSchema, {
      ...(identifier !== undefined && { controlPlane: { identifier } }),
      typeUrl,
      nonce,
      resources,
      removedResources: gone,
    });
    this.#send(toBinary(discovery.DeltaDiscoveryResponseSchema, message));
  }
}
