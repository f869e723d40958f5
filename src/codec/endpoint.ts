import { create, type DescMessage } from '@bufbuild/protobuf';
import type { ClusterLoadAssignment, Endpoint, LocalityEndpoints } from '../model/endpoint.js';
import { endpoint } from '../proto/xds.js';
import { messageOf } from '../runtime/errors.js';
import { runSteps, type Steps } from '../runtime/steps.js';
import type { AddressForm } from './address.js';
import { decodeMessage, type Held } from './codec.js';
import { decodePositiveDuration, encodeDuration } from './duration.js';
import { type KnownEndpoints, reusing } from './endpoint-reuse.js';
import { type SplitMessage, splitField } from './endpoint-wire.js';
import { onlyFields } from './field-guard.js';
import { type EndpointDecoder, encodeEndpoint, endpointDecoder } from './lb-endpoint.js';
import { decodeMetadata, encodeMetadata } from './metadata.js';
import { decodeLocality, encodeLocality } from './node.js';
import { at, type Path, refuse } from './path.js';
import { decodeFraction, encodeFraction } from './percent.js';

const DEFAULT_OVERPROVISIONING = 140;
/** Envoy: priorities go up to 128, and weights are added up in 32 bits. */
const MAX_PRIORITY = 128;
const MAX_WEIGHT_SUM = 0xffff_ffff;

/** Fields that are taken out of a message as bytes before the rest of it is decoded. */
const ASSIGNMENT_LOCALITIES = 2;
const LOCALITY_ENDPOINTS = 2;

const assignmentFields = onlyFields(() => endpoint.ClusterLoadAssignmentSchema, {
  enforced: ['cluster_name', 'endpoints', 'policy'],
});

const policyFields = onlyFields(() => endpoint.ClusterLoadAssignment_PolicySchema, {
  enforced: ['overprovisioning_factor', 'weighted_priority_health', 'drop_overloads', 'endpoint_stale_after'],
});

const dropFields = onlyFields(() => endpoint.ClusterLoadAssignment_Policy_DropOverloadSchema, {
  enforced: ['category', 'drop_percentage'],
});

const localityFields = onlyFields(() => endpoint.LocalityLbEndpointsSchema, {
  enforced: ['locality', 'lb_endpoints', 'load_balancing_weight', 'priority', 'metadata'],
});

/** A ClusterLoadAssignment whose localities are still bytes. */
export interface ParsedAssignment {
  readonly head: endpoint.ClusterLoadAssignment;
  readonly localities: readonly Uint8Array[];
}

/** Takes the localities out of the bytes, and decodes the rest. */
export function parseAssignment(bytes: Uint8Array, path: Path): ParsedAssignment {
  const schema = endpoint.ClusterLoadAssignmentSchema;
  const { rest, values } = split(schema, bytes, { field: ASSIGNMENT_LOCALITIES, path });
  return { head: decodeMessage(schema, rest, path), localities: values };
}

function split(
  schema: DescMessage,
  bytes: Uint8Array,
  { field, path }: { field: number; path: Path },
): SplitMessage {
  try {
    return splitField(bytes, field);
  } catch (cause) {
    return refuse(path, `is no valid ${schema.typeName}: ${messageOf(cause)}`, cause);
  }
}

/** The endpoints of a cluster. `host` addresses are for DNS clusters only. */
export function decodeAssignment(
  parsed: ParsedAssignment,
  form: AddressForm,
  path: Path,
): ClusterLoadAssignment {
  return runSteps(decodeAssignmentInSteps(parsed, form, path));
}

/** The same with pauses. Endpoints whose bytes are as they were in `held` are the same objects again. */
export function* decodeAssignmentInSteps(
  parsed: ParsedAssignment,
  form: AddressForm,
  path: Path,
  held?: Held<ClusterLoadAssignment>,
): Steps<ClusterLoadAssignment> {
  const { head } = parsed;
  assignmentFields(head, path);
  if (head.clusterName === '') refuse(at(path, 'cluster_name'), 'must not be empty');
  const decode = reusing(endpointDecoder(form), held && knownEndpoints(held));
  const localities: LocalityEndpoints[] = [];
  for (const [index, bytes] of parsed.localities.entries()) {
    localities.push(yield* decodeLocalityEndpoints(bytes, decode, at(path, 'endpoints', index)));
  }
  checkLocalities(localities, path);
  if (form === 'ip') yield* refuseSharedAddresses(localities, path);
  return {
    clusterName: head.clusterName,
    localities,
    overprovisioningFactor: decodeFactor(head.policy, at(path, 'policy')),
    weightedPriorityHealth: head.policy?.weightedPriorityHealth ?? false,
    dropOverloads: decodeDrops(head.policy?.dropOverloads ?? [], at(path, 'policy')),
    staleAfterMs: decodeStaleAfter(head.policy, at(path, 'policy')),
  };
}

function decodeFactor(policy: endpoint.ClusterLoadAssignment_Policy | undefined, path: Path): number {
  if (policy === undefined) return DEFAULT_OVERPROVISIONING;
  policyFields(policy, path);
  return policy.overprovisioningFactor === 0
    ? refuse(at(path, 'overprovisioning_factor'), 'must be greater than 0')
    : (policy.overprovisioningFactor ?? DEFAULT_OVERPROVISIONING);
}

function decodeStaleAfter(
  policy: endpoint.ClusterLoadAssignment_Policy | undefined,
  path: Path,
): number | undefined {
  const { endpointStaleAfter } = policy ?? {};
  if (endpointStaleAfter === undefined) return undefined;
  return decodePositiveDuration(endpointStaleAfter, 0, at(path, 'endpoint_stale_after'));
}

function decodeDrops(
  drops: readonly endpoint.ClusterLoadAssignment_Policy_DropOverload[],
  path: Path,
): ClusterLoadAssignment['dropOverloads'] {
  if (drops.length === 0) return undefined;
  return drops.map((drop, index) => {
    const where = at(path, 'drop_overloads', index);
    dropFields(drop, where);
    if (drop.category === '') refuse(at(where, 'category'), 'must not be empty');
    const percentage = decodeFraction(drop.dropPercentage, at(where, 'drop_percentage'));
    return { category: drop.category, percentage };
  });
}

/** The endpoints of a held assignment with their bytes. */
function knownEndpoints({ bytes, resource }: Held<ClusterLoadAssignment>): KnownEndpoints {
  const localities = splitField(bytes, ASSIGNMENT_LOCALITIES).values;
  return {
    bytes: localities.flatMap((locality) => splitField(locality, LOCALITY_ENDPOINTS).values),
    endpoints: resource.localities.flatMap(({ endpoints }) => endpoints),
  };
}

/** Endpoints that are decoded without a pause: a fraction of a millisecond. */
const STEP = 200;

function* decodeLocalityEndpoints(
  bytes: Uint8Array,
  decode: EndpointDecoder,
  path: Path,
): Steps<LocalityEndpoints> {
  const schema = endpoint.LocalityLbEndpointsSchema;
  const { rest, values } = split(schema, bytes, { field: LOCALITY_ENDPOINTS, path });
  const message = decodeMessage(schema, rest, path);
  localityFields(message, path);
  const { priority, loadBalancingWeight: weight } = message;
  if (weight === 0) refuse(at(path, 'load_balancing_weight'), 'must be at least 1');
  if (priority > MAX_PRIORITY) refuse(at(path, 'priority'), 'must be at most 128');
  const endpoints: Endpoint[] = [];
  for (const [index, value] of values.entries()) {
    endpoints.push(decode(value, { locality: path, index }));
    if (index % STEP === STEP - 1) yield;
  }
  if (endpoints.reduce((sum, entry) => sum + entry.weight, 0) > MAX_WEIGHT_SUM) {
    refuse(at(path, 'lb_endpoints'), 'the sum of the weights must be below 2^32');
  }
  return {
    locality: decodeLocality(message.locality),
    priority,
    weight,
    metadata: decodeMetadata(message.metadata),
    endpoints,
  };
}

interface PriorityLevel {
  readonly localities: Set<string>;
  weightSum: number;
}

/** gRFC A27: a locality stands once per priority, weights fit 32 bits, and no priority is left out. */
function checkLocalities(localities: readonly LocalityEndpoints[], path: Path): void {
  const levels = new Map<number, PriorityLevel>();
  localities.forEach(({ locality, priority, weight = 0 }, index) => {
    const level = levels.get(priority) ?? { localities: new Set<string>(), weightSum: 0 };
    levels.set(priority, level);
    const key = JSON.stringify([locality.region, locality.zone, locality.subZone]);
    if (level.localities.has(key)) {
      refuse(at(at(path, 'endpoints', index), 'locality'), `${key} stands twice in priority ${priority}`);
    }
    level.localities.add(key);
    level.weightSum += weight;
    if (level.weightSum > MAX_WEIGHT_SUM) {
      refuse(path, `the weights of the localities in priority ${priority} must add up to less than 2^32`);
    }
  });
  for (let priority = 0; priority < levels.size; priority += 1) {
    if (!levels.has(priority)) refuse(at(path, 'endpoints'), `priority ${priority} is left out`);
  }
}

/** gRFC A27: an address stands once. */
function* refuseSharedAddresses(localities: readonly LocalityEndpoints[], path: Path): Steps<void> {
  const seen = new Set<string>();
  for (const [localityIndex, { endpoints }] of localities.entries()) {
    for (const [index, { address }] of endpoints.entries()) {
      const key = `${address.port} ${address.address}`;
      if (seen.has(key)) {
        const where = at(at(path, 'endpoints', localityIndex), 'lb_endpoints', index);
        refuse(where, `the address ${address.address} port ${address.port} stands twice`);
      }
      seen.add(key);
      if (seen.size % STEP === 0) yield;
    }
  }
}

/** The endpoints of a cluster as a message. */
export function encodeAssignment(model: ClusterLoadAssignment): endpoint.ClusterLoadAssignment {
  const message = create(endpoint.ClusterLoadAssignmentSchema, {
    clusterName: model.clusterName,
    endpoints: model.localities.map(encodeLocalityEndpoints),
    policy: {
      overprovisioningFactor: model.overprovisioningFactor,
      weightedPriorityHealth: model.weightedPriorityHealth,
      dropOverloads: (model.dropOverloads ?? []).map(({ category, percentage }) => ({
        category,
        dropPercentage: encodeFraction(percentage),
      })),
    },
  });
  const { staleAfterMs } = model;
  if (staleAfterMs !== undefined && message.policy !== undefined) {
    message.policy.endpointStaleAfter = encodeDuration(staleAfterMs);
  }
  return message;
}

function encodeLocalityEndpoints(model: LocalityEndpoints): endpoint.LocalityLbEndpoints {
  const message = create(endpoint.LocalityLbEndpointsSchema, {
    // Written even when it is empty: gRPC refuses a locality without.
    locality: encodeLocality(model.locality),
    priority: model.priority,
    lbEndpoints: model.endpoints.map(encodeEndpoint),
  });
  if (model.weight !== undefined) message.loadBalancingWeight = model.weight;
  const metadata = encodeMetadata(model.metadata);
  if (metadata !== undefined) message.metadata = metadata;
  return message;
}
