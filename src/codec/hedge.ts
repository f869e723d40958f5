import { create } from '@bufbuild/protobuf';
import type { HedgePolicy } from '../model/retry.js';
import { route } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';
import { decodeFraction, encodeFraction } from './percent.js';

const hedgeFields = onlyFields(() => route.HedgePolicySchema, {
  enforced: ['initial_requests', 'additional_request_chance', 'hedge_on_per_try_timeout'],
});

/** The hedge policy. */
export function decodeHedge(message: route.HedgePolicy | undefined, path: Path): HedgePolicy | undefined {
  if (message === undefined) return undefined;
  hedgeFields(message, path);
  const initialRequests = message.initialRequests ?? 1;
  if (initialRequests < 1) refuse(at(path, 'initial_requests'), 'must be at least 1');
  return {
    initialRequests,
    additionalRequestChance: decodeFraction(
      message.additionalRequestChance,
      at(path, 'additional_request_chance'),
    ),
    onPerTryTimeout: message.hedgeOnPerTryTimeout,
  };
}

/** The hedge policy as a message. */
export function encodeHedge(policy: HedgePolicy): route.HedgePolicy {
  return create(route.HedgePolicySchema, {
    initialRequests: policy.initialRequests,
    additionalRequestChance: encodeFraction(policy.additionalRequestChance),
    hedgeOnPerTryTimeout: policy.onPerTryTimeout,
  });
}
