import { expect } from 'vitest';
import type { DecodableType } from '../../src/xds/protocol.js';
import { EngineUnderTest, packed, partialType, readRequest, response } from '../unit/xds/engine-fixtures.js';
import { vectorJson, vectorSuite } from './score.js';

interface Watch {
  readonly type: string;
  readonly names: readonly string[];
  readonly id: string;
}

/** A resource by its name, or one of another type. */
type Resource = string | { readonly type?: string; readonly name?: string };

interface Sends {
  readonly type: string;
  readonly version_info?: string;
  readonly resources?: readonly Resource[];
  readonly nonce?: string;
}

interface Expected {
  readonly type: string;
  readonly resource_names?: readonly string[];
  readonly version_info?: string;
  readonly response_nonce?: string;
  readonly node?: boolean;
}

type Step =
  | string
  | {
      readonly watch?: Watch;
      readonly unwatch?: string;
      readonly pause?: string;
      readonly resume?: string;
      readonly server_sends?: Sends;
      readonly client_sends?: Expected;
      readonly no_message?: unknown;
    };

interface Case {
  readonly name: string;
  readonly steps?: readonly Step[];
}

class Conversation {
  readonly #engine = new EngineUnderTest();
  readonly #types = new Map<string, DecodableType>();
  readonly #watches = new Map<string, Watch>();
  /** Requests that nobody looked at yet. */
  #sent: (Uint8Array | undefined)[] = [];

  run(step: Step): void {
    const { protocol } = this.#engine;
    if (step === 'connect' || step === 'reconnect') this.#sent.push(...protocol.reconnect());
    else if (step === 'server_closes_stream') this.#close();
    else if (typeof step === 'string') return;
    else if (step.watch !== undefined) this.#watch(step.watch);
    else if (step.unwatch !== undefined) this.#unwatch(step.unwatch);
    else if (step.pause !== undefined) protocol.pause(step.pause);
    else if (step.resume !== undefined) this.#sent.push(protocol.resume(step.resume));
    else if (step.server_sends !== undefined) this.#receive(step.server_sends);
    else if (step.client_sends !== undefined) this.#expectSent(step.client_sends);
    else if ('no_message' in step) expect(this.#next()).toBeUndefined();
  }

  #close(): void {
    this.#engine.protocol.disconnect();
    this.#sent = [];
  }

  #watch(watch: Watch): void {
    this.#watches.set(watch.id, watch);
    this.#subscribe(watch.type);
  }

  #unwatch(id: string): void {
    const { type = '' } = this.#watches.get(id) ?? {};
    this.#watches.delete(id);
    this.#subscribe(type);
  }

  #subscribe(type: string): void {
    const watches = [...this.#watches.values()].filter((watch) => watch.type === type);
    const names = watches.flatMap((watch) => (watch.names.length === 0 ? ['*'] : watch.names));
    this.#sent.push(this.#engine.protocol.subscribe(this.#typeOf(type), new Set(names)));
  }

  #receive({ type, version_info = '', resources = [], nonce = '' }: Sends): void {
    const all = resources.map((one) => {
      const { type: own = type, name = 'x' } = typeof one === 'string' ? { name: one } : one;
      return packed(this.#typeOf(own), name, 'word');
    });
    this.#sent.push(this.#engine.receive(response(this.#typeOf(type), version_info, nonce, all)).reply);
  }

  #expectSent(expected: Expected): void {
    const sent = readRequest(this.#next());
    expect(sent?.typeUrl).toBe(expected.type);
    if (expected.resource_names !== undefined)
      expect(sent?.names).toEqual([...expected.resource_names].sort());
    if (expected.version_info !== undefined) expect(sent?.version).toBe(expected.version_info);
    if (expected.response_nonce !== undefined) expect(sent?.nonce).toBe(expected.response_nonce);
    if (expected.node !== undefined) expect(sent?.node !== undefined).toBe(expected.node);
    const isRefusal = Object.keys(expected).some((key) => key.startsWith('error'));
    expect(sent?.error !== undefined).toBe(isRefusal);
  }

  #next(): Uint8Array | undefined {
    while (this.#sent.length > 0) {
      const next = this.#sent.shift();
      if (next !== undefined) return next;
    }
    return undefined;
  }

  #typeOf(typeUrl: string): DecodableType {
    let type = this.#types.get(typeUrl);
    if (type === undefined) {
      type = { ...partialType(), typeUrl };
      this.#types.set(typeUrl, type);
    }
    return type;
  }
}

const file = 'envoy/vectors/xds_sotw_client.json';

vectorSuite({
  file,
  cases: (vectorJson(file) as { readonly cases: readonly Case[] } | undefined)?.cases ?? [],
  title: ({ name }) => name,
  skip: ({ steps }) => (steps === undefined ? 'a description without steps' : undefined),
  run({ steps = [] }) {
    const conversation = new Conversation();
    for (const step of steps) conversation.run(step);
  },
});
