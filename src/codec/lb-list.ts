import { create } from '@bufbuild/protobuf';
import type { LeastRequestPolicy, RandomPolicy, RoundRobinPolicy } from '../model/lb-policy.js';
import { packAny } from '../proto/any.js';
import {
  type cluster,
  type core,
  type lbCommon,
  lbLeastRequest,
  lbRandom,
  lbRoundRobin,
} from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { extension } from './lb-extension.js';
import { decodeLocalityBalancing, encodeLocalityBalancing } from './lb-locality.js';
import { at, type Path, refuse } from './path.js';
import { decodeSlowStart, encodeSlowStart } from './slow-start.js';

/** Envoy: two random choices, active requests weigh fully. */
const DEFAULT_CHOICE_COUNT = 2;
const DEFAULT_BIAS = 1;

const roundRobinFields = onlyFields(() => lbRoundRobin.RoundRobinSchema, {
  enforced: ['locality_lb_config', 'slow_start_config'],
});
const randomFields = onlyFields(() => lbRandom.RandomSchema, { enforced: ['locality_lb_config'] });
const leastRequestFields = onlyFields(() => lbLeastRequest.LeastRequestSchema, {
  enforced: [
    'choice_count',
    'active_request_bias',
    'locality_lb_config',
    'selection_method',
    'slow_start_config',
  ],
});

export function decodeRoundRobin(message: lbRoundRobin.RoundRobin, path: Path): RoundRobinPolicy {
  roundRobinFields(message, path);
  return {
    kind: 'round-robin',
    locality: decodeLocalityBalancing(message.localityLbConfig, path),
    slowStart: decodeSlowStart(message.slowStartConfig, path),
  };
}

export function decodeRandom(message: lbRandom.Random, path: Path): RandomPolicy {
  randomFields(message, path);
  return { kind: 'random', locality: decodeLocalityBalancing(message.localityLbConfig, path) };
}

export function decodeLeastRequest(message: lbLeastRequest.LeastRequest, path: Path): LeastRequestPolicy {
  leastRequestFields(message, path);
  const { N_CHOICES, FULL_SCAN } = lbLeastRequest.LeastRequest_SelectionMethod;
  const { selectionMethod: method } = message;
  if (method !== N_CHOICES && method !== FULL_SCAN)
    refuse(at(path, 'selection_method'), `has no value ${String(method)}`);
  return {
    ...leastRequestOf(message, path),
    fullScan: method === FULL_SCAN || undefined,
    locality: decodeLocalityBalancing(message.localityLbConfig, path),
  };
}

interface LeastRequestSettings {
  readonly choiceCount?: number | undefined;
  readonly activeRequestBias?: core.RuntimeDouble | undefined;
  readonly slowStartConfig?: lbCommon.SlowStartConfig | cluster.Cluster_SlowStartConfig | undefined;
}

/** What both forms of the message say. */
export function leastRequestOf(
  { choiceCount, activeRequestBias, slowStartConfig }: LeastRequestSettings,
  path: Path,
): LeastRequestPolicy {
  const choices = choiceCount ?? DEFAULT_CHOICE_COUNT;
  if (choices < 2) refuse(at(path, 'choice_count'), 'must be at least 2');
  // A runtime key beside it names an override in Envoy's runtime layer; there is no such layer here.
  const bias = activeRequestBias?.defaultValue ?? DEFAULT_BIAS;
  // Envoy: one that is not a number, or negative, counts as the default.
  const slowStart = decodeSlowStart(slowStartConfig, path);
  return {
    kind: 'least-request',
    choiceCount: choices,
    activeRequestBias: bias >= 0 ? bias : DEFAULT_BIAS,
    slowStart,
  };
}

/** The policy as an extension. */
export function encodeListPolicy(
  policy: RoundRobinPolicy | RandomPolicy | LeastRequestPolicy,
): cluster.LoadBalancingPolicy_Policy {
  const locality = encodeLocalityBalancing(policy.locality);
  switch (policy.kind) {
    case 'round-robin': {
      const message = create(lbRoundRobin.RoundRobinSchema, {
        ...locality,
        ...encodeSlowStart(policy.slowStart),
      });
      return extension('round_robin', packAny(lbRoundRobin.RoundRobinSchema, message));
    }
    case 'random': {
      const message = create(lbRandom.RandomSchema, locality);
      return extension('random', packAny(lbRandom.RandomSchema, message));
    }
    case 'least-request': {
      const { FULL_SCAN, N_CHOICES } = lbLeastRequest.LeastRequest_SelectionMethod;
      const message = create(lbLeastRequest.LeastRequestSchema, {
        choiceCount: policy.choiceCount,
        // PGV demands a runtime key.
        activeRequestBias: {
          defaultValue: policy.activeRequestBias,
          runtimeKey: 'upstream.least_request.bias',
        },
        ...locality,
        ...encodeSlowStart(policy.slowStart),
        selectionMethod: policy.fullScan === true ? FULL_SCAN : N_CHOICES,
      });
      return extension('least_request', packAny(lbLeastRequest.LeastRequestSchema, message));
    }
  }
}
