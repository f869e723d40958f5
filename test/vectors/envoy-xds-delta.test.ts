import { expect } from 'vitest';
import { createDelta } from '../../src/xds/delta.js';
import { deltaResponse, EngineUnderTest, partialType, readDeltaRequest } from '../unit/xds/engine-fixtures.js';
import { vectorJson, vectorSuite } from './score.js';

interface Step {
  readonly op: 'subscribe' | 'send' | 'response' | 'new_stream';
  readonly add?: readonly (string | readonly [string, string])[];
  readonly remove?: readonly string[];
  readonly ack_error?: string;
  readonly send_initial_resource_versions?: boolean;
  readonly expect_subscribe?: readonly string[];
  readonly expect_unsubscribe?: readonly string[];
  readonly expect_initial_resource_versions?: Readonly<Record<string, string>>;
  readonly expect_initial_at_least?: Readonly<Record<string, string>>;
}

interface Case {
  readonly name: string;
  readonly steps: readonly Step[];
}

/** A conversation with the engine; its type is paused, so that requests are made when the case says so. */
class Conversation {
  readonly #type = partialType();
  readonly #engine = new EngineUnderTest(createDelta);
  #names: ReadonlySet<string> = new Set();
  #nonces = 0;

  constructor() {
    this.#engine.protocol.reconnect();
    this.#engine.protocol.pause(this.#type.typeUrl);
  }

  run(step: Step): void {
    if (step.op === 'subscribe') this.#subscribe(step);
    else if (step.op === 'send') this.#send(step);
    else if (step.op === 'response') this.#respond(step);
    else this.#engine.protocol.reconnect(step.send_initial_resource_versions === false);
  }

  #subscribe({ add = [], remove = [] }: Step): void {
    // Wanting nothing in particular from the start is wanting everything.
    const added = this.#names.size === 0 && add.length === 0 && remove.length === 0 ? ['*'] : add.map(String);
    const names = new Set([...this.#names, ...added]);
    for (const name of remove) names.delete(name);
    this.#names = names;
    this.#engine.protocol.subscribe(this.#type, names);
  }

  #send(step: Step): void {
    const { typeUrl } = this.#type;
    const sent = readDeltaRequest(this.#engine.protocol.resume(typeUrl));
    this.#engine.protocol.pause(typeUrl);
    if (step.expect_subscribe !== undefined)
      expect(sent?.subscribe ?? []).toEqual([...step.expect_subscribe].sort());
    if (step.expect_unsubscribe !== undefined)
      expect(sent?.unsubscribe ?? []).toEqual([...step.expect_unsubscribe].sort());
    if (step.expect_initial_resource_versions !== undefined)
      expect(sent?.initial ?? {}).toEqual(step.expect_initial_resource_versions);
    if (step.expect_initial_at_least !== undefined)
      expect(sent?.initial).toMatchObject(step.expect_initial_at_least);
  }

  #respond({ add = [], remove = [], ack_error }: Step): void {
    const resources = add.map(([name = '', version = '']) => ({ name, version, word: version }));
    const nonce = `${++this.#nonces}`;
    const { reply } = this.#engine.receive(deltaResponse(this.#type, nonce, resources, remove));
    const answer = readDeltaRequest(reply);
    expect(answer?.nonce).toBe(nonce);
    if (ack_error === undefined) expect(answer?.error).toBeUndefined();
    else expect(answer?.error).toContain(ack_error);
  }
}

const file = 'envoy/vectors/xds_delta_client.json';

vectorSuite({
  file,
  cases: (vectorJson(file) as { readonly cases: readonly Case[] } | undefined)?.cases ?? [],
  title: ({ name }) => name,
  run({ steps }) {
    const conversation = new Conversation();
    for (const step of steps) conversation.run(step);
  },
});
