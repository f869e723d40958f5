import type { Listener } from '../../model/listener.js';
import type { ShardedMap } from '../../runtime/sharded-map.js';
import { Runs, type Steps } from '../../runtime/steps.js';
import { ENVOY_ENCODERS, GRPC_ENCODERS, SDK_ENCODERS } from '../resources/encoders.js';
import type { ResourceEncoders } from '../resources/resource-set.js';
import { EnvoyOutlines } from './envoy/outline.js';
import { PatchedOutlines } from './envoy-filter/patched.js';
import { Mapped } from './mapped.js';
import type { CommonOutline, Outline, OwnInput } from './outlined.js';
import type { Generator, Profile } from './profile.js';
import { processTracing } from './tracing.js';

/** How resources travel to whom. */
export const ENCODERS: Readonly<Record<Generator, ResourceEncoders>> = {
  inmesh: SDK_ENCODERS,
  grpc: GRPC_ENCODERS,
  envoy: ENVOY_ENCODERS,
};

/**
 * What the clients of one profile are sent of what they share with others: in the form of their kind, with their logs and
 * patches. Follows that at the cost of what changes.
 */
export class OwnOutlines {
  readonly #runs = new Runs();
  readonly #envoy = new EnvoyOutlines();
  readonly #dressed: Mapped<Listener, Listener> | undefined;
  readonly #patched = new PatchedOutlines();

  /** Profiles of one key log and trace alike. */
  constructor({ generator, accessLogs, tracing }: Profile) {
    const traced = generator === 'inmesh' ? processTracing(tracing) : {};
    if (accessLogs === undefined && Object.keys(traced).length === 0) return;
    const extras = { ...(accessLogs !== undefined && { accessLogs }), ...traced };
    this.#dressed = new Mapped((listener: Listener) =>
      listener.kind === 'outbound' && listener.name !== '*'
        ? { ...listener, http: { ...listener.http, ...extras } }
        : listener,
    );
  }

  /** May be left in a pause. */
  of(common: CommonOutline, input: OwnInput): Steps<Outline> {
    return this.#runs.take(() => this.#made(common, input));
  }

  *#made(common: CommonOutline, input: OwnInput): Steps<Outline> {
    const { generator, patches, envoy } = input.profile;
    const outline =
      envoy === undefined
        ? { ...common, listeners: yield* this.#dress(common.listeners) }
        : yield* this.#envoy.of(common, { ...input, envoy });
    return yield* this.#patched.of(outline, {
      patches,
      encoders: ENCODERS[generator],
      isOurs: generator === 'inmesh',
      // Istio: all that a gateway has is a gateway's.
      context: (envoy?.gateways.length ?? 0) > 0 ? 'GATEWAY' : 'SIDECAR_OUTBOUND',
      onRefused: input.onRefused,
    });
  }

  *#dress(listeners: ShardedMap<Listener>): Steps<ShardedMap<Listener>> {
    if (this.#dressed === undefined) return listeners;
    yield* this.#dressed.prepare(listeners);
    return this.#dressed.of(listeners).map;
  }
}
