import { create, type JsonObject } from '@bufbuild/protobuf';
import type { Endpoint, EndpointHealth } from '../model/endpoint.js';
import { type Metadata, NO_METADATA } from '../model/metadata.js';
import { core, endpoint } from '../proto/xds.js';
import {
  type AddressForm,
  checkHost,
  checkPort,
  decodeAddress,
  decodeEndpointAddress,
  encodeAddress,
} from './address.js';
import { decodeMessage } from './codec.js';
import { decodeEndpointHealthCheck, encodeEndpointHealthCheck } from './endpoint-health-check.js';
import { type PlainEndpoint, readPlainEndpoint } from './endpoint-wire.js';
import { onlyFields } from './field-guard.js';
import { decodeMetadata, encodeMetadata } from './metadata.js';
import { at, type Path, refuse } from './path.js';

const SOCKET_MATCH = 'envoy.transport_socket_match';

/** `core.v3.HealthStatus`, by number. */
export const HEALTH: readonly EndpointHealth[] = [
  'unknown',
  'healthy',
  'unhealthy',
  'draining',
  'timeout',
  'degraded',
];

const lbEndpointFields = onlyFields(() => endpoint.LbEndpointSchema, {
  enforced: ['endpoint', 'health_status', 'metadata', 'load_balancing_weight'],
});

const endpointFields = onlyFields(() => endpoint.EndpointSchema, {
  enforced: ['address', 'hostname', 'health_check_config', 'additional_addresses'],
});

/** Where one of many endpoints stands; its path is written only when it is needed. */
export interface Place {
  readonly locality: Path;
  readonly index: number;
}

/** Decodes one `LbEndpoint`. */
export type EndpointDecoder = (bytes: Uint8Array, place: Place) => Endpoint;

interface Labels {
  readonly transportSocketMatch: Readonly<Record<string, string>>;
  readonly metadata: Metadata;
}

type LabelReader = (bytes: Uint8Array | undefined, place: Place) => Labels;

/** Makes the decoder for the endpoints of one cluster. */
export function endpointDecoder(form: AddressForm): EndpointDecoder {
  const readLabels = labelReader();
  return (bytes, place) => {
    const plain = readPlainEndpoint(bytes);
    return plain === undefined
      ? decodeEndpoint(decodeMessage(endpoint.LbEndpointSchema, bytes, pathOf(place)), form, pathOf(place))
      : fromPlain(plain, { form, place, labels: readLabels(plain.metadata, place) });
  };
}

function pathOf({ locality, index }: Place): Path {
  return at(locality, 'lb_endpoints', index);
}

/** Endpoints of one workload carry equal metadata: each form of it is decoded once, and its labels are shared. */
function labelReader(): LabelReader {
  const none: Labels = { transportSocketMatch: {}, metadata: NO_METADATA };
  const known = new Map<string, Labels>();
  return (bytes, place) => {
    if (bytes === undefined) return none;
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    const found = known.get(key);
    if (found !== undefined) return found;
    const labels = labelsOf(decodeMessage(core.MetadataSchema, bytes, at(pathOf(place), 'metadata')));
    known.set(key, labels);
    return labels;
  };
}

function labelsOf(metadata: core.Metadata | undefined): Labels {
  return {
    transportSocketMatch: stringsOf(metadata?.filterMetadata[SOCKET_MATCH]),
    metadata: decodeMetadata(metadata, SOCKET_MATCH),
  };
}

/** The labels that are strings: a label of another type equals no string that it is compared with. */
function stringsOf(struct: JsonObject | undefined): Readonly<Record<string, string>> {
  const entries = Object.entries(struct ?? {});
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

interface Surroundings {
  readonly form: AddressForm;
  readonly place: Place;
  readonly labels: Labels;
}

function fromPlain(plain: PlainEndpoint, { form, place, labels }: Surroundings): Endpoint {
  const path = (): Path => pathOf(place);
  const socketPath = (): Path => at(at(at(path(), 'endpoint'), 'address'), 'socket_address');
  checkHost(plain.address, form, socketPath);
  checkPort(plain.port, socketPath);
  return {
    address: { address: plain.address, port: plain.port },
    hostname: plain.hostname,
    health: decodeHealth(plain.health, path),
    weight: checkWeight(plain.weight, path),
    ...labels,
  };
}

function decodeEndpoint(message: endpoint.LbEndpoint, form: AddressForm, path: Path): Endpoint {
  lbEndpointFields(message, path);
  const { hostIdentifier, metadata } = message;
  const endpointPath = at(path, 'endpoint');
  if (hostIdentifier.case !== 'endpoint') return refuse(endpointPath, 'is required');
  endpointFields(hostIdentifier.value, endpointPath);
  const { healthCheckConfig } = hostIdentifier.value;
  const healthCheck = decodeEndpointHealthCheck(healthCheckConfig, at(endpointPath, 'health_check_config'));
  return {
    address: decodeEndpointAddress(hostIdentifier.value.address, form, at(endpointPath, 'address')),
    hostname: hostIdentifier.value.hostname,
    health: decodeHealth(message.healthStatus, () => path),
    weight: checkWeight(message.loadBalancingWeight, () => path),
    ...labelsOf(metadata),
    ...(healthCheck !== undefined && { healthCheck }),
    ...decodeAdditional(hostIdentifier.value.additionalAddresses, form, endpointPath),
  };
}

function decodeAdditional(
  messages: readonly endpoint.Endpoint_AdditionalAddress[],
  form: AddressForm,
  path: Path,
): Pick<Endpoint, 'additionalAddresses'> {
  if (messages.length === 0) return {};
  if (form === 'host') refuse(at(path, 'additional_addresses'), 'are not supported next to names');
  return {
    additionalAddresses: messages.map(({ address }, index) =>
      decodeAddress(address, form, at(at(path, 'additional_addresses', index), 'address')),
    ),
  };
}

function checkWeight(weight: number | undefined, path: () => Path): number {
  return weight === 0 ? refuse(at(path(), 'load_balancing_weight'), 'must be at least 1') : (weight ?? 1);
}

function decodeHealth(status: number, path: () => Path): EndpointHealth {
  return HEALTH[status] ?? refuse(at(path(), 'health_status'), `has no value ${status}`);
}

/** The endpoint as a message. */
export function encodeEndpoint(model: Endpoint): endpoint.LbEndpoint {
  const value = create(endpoint.EndpointSchema, {
    address: encodeAddress(model.address),
    hostname: model.hostname,
  });
  value.additionalAddresses = (model.additionalAddresses ?? []).map((address) =>
    create(endpoint.Endpoint_AdditionalAddressSchema, { address: encodeAddress(address) }),
  );
  if (model.healthCheck !== undefined) value.healthCheckConfig = encodeEndpointHealthCheck(model.healthCheck);
  const message = create(endpoint.LbEndpointSchema, {
    hostIdentifier: { case: 'endpoint', value },
    healthStatus: encodeHealth(model.health),
    loadBalancingWeight: model.weight,
  });
  const labels = Object.keys(model.transportSocketMatch).length > 0;
  const metadata = encodeMetadata(
    labels ? { ...model.metadata, [SOCKET_MATCH]: model.transportSocketMatch } : model.metadata,
  );
  if (metadata !== undefined) message.metadata = metadata;
  return message;
}

function encodeHealth(health: EndpointHealth): core.HealthStatus {
  const { UNKNOWN, HEALTHY, UNHEALTHY, DRAINING, TIMEOUT, DEGRADED } = core.HealthStatus;
  const statuses: Readonly<Record<EndpointHealth, core.HealthStatus>> = {
    unknown: UNKNOWN,
    healthy: HEALTHY,
    unhealthy: UNHEALTHY,
    draining: DRAINING,
    timeout: TIMEOUT,
    degraded: DEGRADED,
  };
  return statuses[health];
}
