import { type JsonValue, toJson } from '@bufbuild/protobuf';
import { encodeNode } from '../../codec/node.js';
import { SECRET_TYPE_URL } from '../../codec/secret.js';
import type { ResourceShortName } from '../../model/resource-short-name.js';
import { registry } from '../../proto/registry.js';
import { core, wkt } from '../../proto/xds.js';
import type { Ledger } from './ledger.js';
import { resourceStates } from './resource-states.js';
import { type Connected, clientStatus } from './xds-stream.js';

/** What one client was sent, resource by resource. */
export interface ClientConfig {
  readonly id: string;
  /** As it says of itself, in Envoy's JSON. */
  readonly node: JsonValue;
  readonly resources: readonly SentResource[];
}

/** A resource as a client was sent it. */
export interface SentResource {
  readonly type: ResourceShortName;
  readonly name: string;
  readonly state: 'accepted' | 'unanswered' | 'refused' | 'absent';
  /** What the client found wrong. */
  readonly error?: string;
  readonly version?: string;
  /** In Envoy's JSON; of secrets only that they were sent. */
  readonly resource?: JsonValue;
}

/** The words of `proxy-config` for types. */
const TYPES: Readonly<Record<string, ResourceShortName>> = {
  listeners: 'LDS',
  routes: 'RDS',
  clusters: 'CDS',
  endpoints: 'EDS',
  secrets: 'SDS',
};

/**
 * What a client has; undefined when none, or more than one, has that in its id, or is called so: `service` or
 * `service-version`.
 */
export function clientConfig(
  connected: Iterable<Connected>,
  wanted: string,
  type: string | undefined,
): ClientConfig | undefined {
  const found = streamsOf(connected, wanted);
  if (found === undefined) return undefined;
  const { id, streams } = found;
  const short = type === undefined || type === 'all' ? undefined : (TYPES[type] ?? type);
  const ledgers = streams.flatMap(({ session }) => [...session.channels].map(({ ledger }) => ledger));
  const node = streams[0]?.session.node;
  return {
    id,
    node: node === undefined ? null : toJson(core.NodeSchema, encodeNode(node), { useProtoFieldName: true }),
    resources: ledgers.filter((one) => short === undefined || one.type.short === short).flatMap(sentBy),
  };
}

/** The streams of the client that is meant; undefined as above. */
export function streamsOf(
  connected: Iterable<Connected>,
  wanted: string,
): { readonly id: string; readonly streams: readonly Connected[] } | undefined {
  const all = [...connected];
  const ids = [...new Set(all.flatMap(({ session }) => session.node?.id ?? []))];
  const parts = ids.filter((one) => one.includes(wanted));
  const id = ids.find((one) => one === wanted) ?? theOnly(parts) ?? theOnly(calledSo(all, wanted));
  if (id === undefined) return undefined;
  return { id, streams: all.filter(({ session }) => session.node?.id === id) };
}

function theOnly(ids: readonly string[]): string | undefined {
  return ids.length === 1 ? ids[0] : undefined;
}

function calledSo(connected: readonly Connected[], wanted: string): readonly string[] {
  const clients = connected.flatMap((one) => clientStatus(one) ?? []);
  const called = clients.filter(({ service, version }) =>
    [service, `${service}-${version}`].includes(wanted),
  );
  return [...new Set(called.map(({ id }) => id))];
}

function sentBy(ledger: Ledger): readonly SentResource[] {
  const { short, typeUrl } = ledger.type;
  // Nobody needs to see secrets to know whether they came.
  const isBare = typeUrl === SECRET_TYPE_URL;
  return [...resourceStates(ledger)].map(({ name, resource, state, refusal }) => ({
    type: short,
    name,
    state,
    ...(refusal !== undefined && { error: refusal.error }),
    ...(resource !== undefined && { version: resource.hash }),
    ...(resource !== undefined && !isBare && { resource: jsonOf(typeUrl, resource.bytes) }),
  }));
}

/** A resource in Envoy's JSON. */
export function jsonOf(typeUrl: string, value: Uint8Array): JsonValue {
  const any = { $typeName: 'google.protobuf.Any' as const, typeUrl, value };
  return toJson(wkt.AnySchema, any, { registry: registry(), useProtoFieldName: true });
}
