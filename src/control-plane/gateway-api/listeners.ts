import { GATEWAY_GROUP } from '../kinds/gateway-api/fields.js';
import type { ApiListener, FrontendValidation } from '../kinds/gateway-api/types.js';
import type { ConfigView, Document, FieldPath } from '../kinds/view.js';
import { isComplaint, type Lookup, resolveCertificate, resolveRoots } from './certificates.js';
import type { Complaint } from './condition.js';
import { allowsNamespace } from './selectors.js';

export type ApiGateway = Document<'Gateway.gateway.networking.k8s.io'>;

/** A kind of routes. */
export interface RouteGroupKind {
  readonly group: string;
  readonly kind: string;
}

/** How a listener ends TLS. */
export interface ListenerTls {
  /** Secrets with certificates. */
  readonly certificates: readonly { readonly namespace: string; readonly name: string }[];
  /** Whose certificates of clients are good, as PEM; undefined = nobody is asked for one. */
  readonly clientRoots: string | undefined;
  /** Whether clients without a good certificate may call, too. */
  readonly allowsAnyClient: boolean;
}

/** A listener of a Gateway, its own or of a ListenerSet, with what was found out about it. */
export interface ResolvedListener {
  readonly gateway: ApiGateway;
  /** Where the listener stands. */
  readonly owner: ApiGateway | Document<'ListenerSet'>;
  readonly path: FieldPath;
  /** Its protocol in capitals. */
  readonly spec: ApiListener;
  /** Those that it can have, and its document wants. */
  readonly supportedKinds: readonly RouteGroupKind[];
  /** Undefined = fine. */
  readonly notAccepted: Complaint | undefined;
  readonly conflict: Complaint | undefined;
  readonly unresolved: Complaint | undefined;
  readonly tls: ListenerTls | undefined;
}

/** What a listener does with connections; listeners of one port must agree. */
export type ListenerLayer = 'http' | 'tls' | 'tcp' | 'udp' | 'other';

const LAYERS: Readonly<Record<string, ListenerLayer>> = {
  HTTP: 'http',
  HTTPS: 'tls',
  TLS: 'tls',
  TCP: 'tcp',
  UDP: 'udp',
};

export function layerOf({ protocol }: ApiListener): ListenerLayer {
  return Object.hasOwn(LAYERS, protocol) ? (LAYERS[protocol] ?? 'other') : 'other';
}

/** Gateway API: names of protocols mean the same in capitals and in small letters. */
function withProtocol(spec: ApiListener): ApiListener {
  const protocol = spec.protocol.toUpperCase();
  return protocol !== spec.protocol && Object.hasOwn(LAYERS, protocol) ? { ...spec, protocol } : spec;
}

/** The kinds of routes that a listener of the protocol can have. */
export function kindsOf({ protocol, tls }: ApiListener): readonly string[] {
  if (protocol === 'HTTP' || protocol === 'HTTPS') return ['HTTPRoute', 'GRPCRoute'];
  if (protocol === 'TLS') return tls?.mode === 'Terminate' ? ['TLSRoute', 'TCPRoute'] : ['TLSRoute'];
  return protocol === 'TCP' ? ['TCPRoute'] : [];
}

/** Whether requests or connections of the listener are served. */
export function isServed(listener: ResolvedListener): boolean {
  const { notAccepted, conflict, unresolved } = listener;
  // Of kinds that can't be attached nothing else suffers.
  const isUnresolved = unresolved !== undefined && unresolved.reason !== 'InvalidRouteKinds';
  return notAccepted === undefined && conflict === undefined && !isUnresolved;
}

/** What a ListenerSet complains about as a whole; undefined = it is attached. */
export function refusalOfSet(
  set: Document<'ListenerSet'>,
  gateway: ApiGateway,
  view: ConfigView,
): Complaint | undefined {
  const allowed = gateway.spec.allowedListeners?.namespaces ?? { from: 'None' as const };
  if (allowsNamespace(allowed, { own: gateway.namespace, other: set.namespace }, view)) return undefined;
  const message = `allowedListeners of the Gateway ${gateway.namespace}/${gateway.name} does not let it in`;
  return { reason: 'NotAllowed', message };
}

/** The listeners of a Gateway: its own first, then those of its ListenerSets, the oldest first. */
export function resolveListeners(
  gateway: ApiGateway,
  sets: readonly Document<'ListenerSet'>[],
  lookup: Lookup,
): readonly ResolvedListener[] {
  const all = [gateway, ...sets].flatMap((owner) =>
    owner.spec.listeners.map((spec, index) => ({
      owner,
      spec: withProtocol(spec),
      path: ['spec', 'listeners', index] as const,
    })),
  );
  const conflicts = conflictsOf(all);
  return all.map(({ owner, spec, path }, index) => {
    const { supportedKinds, invalidKinds } = supportedKindsOf(spec);
    const { tls, complaint } = tlsOf(spec, owner, gateway, lookup);
    return {
      gateway,
      owner,
      path,
      spec,
      supportedKinds,
      notAccepted: refusalOf(spec) ?? complaint?.fatal,
      conflict: conflicts[index],
      unresolved: complaint?.unresolved ?? invalidKinds,
      tls,
    };
  });
}

function refusalOf(spec: ApiListener): Complaint | undefined {
  if (kindsOf(spec).length > 0) return undefined;
  const message = `the protocol ${spec.protocol} is not served; HTTP, HTTPS, TLS and TCP are`;
  return { reason: 'UnsupportedProtocol', message };
}

function supportedKindsOf(spec: ApiListener): {
  readonly supportedKinds: readonly RouteGroupKind[];
  readonly invalidKinds: Complaint | undefined;
} {
  const possible = kindsOf(spec);
  const wanted = spec.allowedRoutes.kinds ?? [];
  if (wanted.length === 0) {
    const supportedKinds = possible.map((kind) => ({ group: GATEWAY_GROUP, kind }));
    return { supportedKinds, invalidKinds: undefined };
  }
  const fits = ({ group, kind }: RouteGroupKind) => group === GATEWAY_GROUP && possible.includes(kind);
  const wrong = wanted.filter((one) => !fits(one));
  const names = wrong.map(({ group, kind }) => (group === GATEWAY_GROUP ? kind : `${kind} of ${group}`));
  return {
    supportedKinds: wanted.filter(fits).map(({ group, kind }) => ({ group, kind })),
    invalidKinds:
      wrong.length === 0
        ? undefined
        : {
            reason: 'InvalidRouteKinds',
            message: `a listener of ${spec.protocol} cannot have routes of ${names.join(', ')}`,
          },
  };
}

interface Placed {
  readonly owner: ApiGateway | Document<'ListenerSet'>;
  readonly spec: ApiListener;
}

/**
 * Gateway API: of listeners that can't be told apart none is served; but those of a ListenerSet give way to what stands
 * before them.
 */
function conflictsOf(all: readonly Placed[]): readonly (Complaint | undefined)[] {
  const found: (Complaint | undefined)[] = all.map(() => undefined);
  for (const [index, one] of all.entries()) {
    for (const [before, other] of all.slice(0, index).entries()) {
      const complaint = conflictOf(one.spec, other.spec);
      if (complaint === undefined) continue;
      if (one.owner === other.owner) {
        found[index] ??= complaint;
        found[before] ??= complaint;
      } else if (found[before] === undefined) found[index] ??= complaint;
    }
  }
  return found;
}

function conflictOf(one: ApiListener, other: ApiListener): Complaint | undefined {
  if (one.port !== other.port) return undefined;
  const [layer, otherLayer] = [layerOf(one), layerOf(other)];
  if (layer === 'other' || otherLayer === 'other') return undefined;
  if ((layer === 'udp') !== (otherLayer === 'udp')) return undefined;
  if (layer !== otherLayer) {
    const message = `${one.protocol} and ${other.protocol} cannot share the port ${one.port}`;
    return { reason: 'ProtocolConflict', message };
  }
  const isSame = layer === 'tcp' || layer === 'udp' || nameOf(one) === nameOf(other);
  if (!isSame) return undefined;
  if (one.protocol !== other.protocol) {
    const message = `${one.protocol} and ${other.protocol} need different hostnames on the port ${one.port}`;
    return { reason: 'ProtocolConflict', message };
  }
  const message = `another listener on the port ${one.port} has the same hostname`;
  return { reason: 'HostnameConflict', message };
}

function nameOf({ hostname = '' }: ApiListener): string {
  return hostname.toLowerCase();
}

interface TlsFound {
  readonly tls: ListenerTls | undefined;
  readonly complaint: { readonly unresolved: Complaint; readonly fatal: Complaint | undefined } | undefined;
}

function tlsOf(
  spec: ApiListener,
  owner: ApiGateway | Document<'ListenerSet'>,
  gateway: ApiGateway,
  lookup: Lookup,
): TlsFound {
  if (layerOf(spec) !== 'tls') return { tls: undefined, complaint: undefined };
  if (spec.protocol === 'TLS' && spec.tls?.mode === 'Passthrough')
    return { tls: undefined, complaint: undefined };
  const kind = owner.kind === 'ListenerSet' ? 'ListenerSet' : 'Gateway';
  const from = { group: GATEWAY_GROUP, kind, namespace: owner.namespace };
  const references = spec.tls?.certificateRefs ?? [];
  const found = references.map((one) => resolveCertificate(one, from, lookup));
  const certificates = found.flatMap((one) => (isComplaint(one) ? [] : [one]));
  const wrong = found.find(isComplaint) ?? (references.length === 0 ? NO_CERTIFICATE : undefined);
  if (wrong !== undefined) return { tls: undefined, complaint: { unresolved: wrong, fatal: undefined } };
  const validation = spec.protocol === 'HTTPS' ? validationOf(gateway, spec.port) : undefined;
  const base = { certificates, clientRoots: undefined, allowsAnyClient: false };
  return validation === undefined
    ? { tls: base, complaint: undefined }
    : withClients(base, validation, { gateway, lookup });
}

const NO_CERTIFICATE: Complaint = {
  reason: 'InvalidCertificateRef',
  message: 'a listener that ends TLS needs certificateRefs',
};

/** Gateway API: what is said for a port replaces what is said for all. */
function validationOf({ spec }: ApiGateway, port: number): FrontendValidation | undefined {
  const frontend = spec.tls?.frontend;
  const own = frontend?.perPort?.find((one) => one.port === port);
  return own === undefined ? frontend?.default.validation : own.tls.validation;
}

function withClients(
  tls: ListenerTls,
  { caCertificateRefs, mode }: FrontendValidation,
  { gateway, lookup }: { readonly gateway: ApiGateway; readonly lookup: Lookup },
): TlsFound {
  const from = { group: GATEWAY_GROUP, kind: 'Gateway', namespace: gateway.namespace };
  const found = caCertificateRefs.map((one) => resolveRoots(one, from, lookup));
  const roots = found.flatMap((one) => (isComplaint(one) ? [] : [one]));
  const wrong = found.find(isComplaint);
  const clientRoots = roots.length === 0 ? undefined : roots.join('\n');
  if (wrong !== undefined) {
    const fatal = roots.length === 0 ? { reason: 'NoValidCACertificate', message: wrong.message } : undefined;
    return { tls: undefined, complaint: { unresolved: wrong, fatal } };
  }
  return {
    tls: { ...tls, clientRoots, allowsAnyClient: mode === 'AllowInsecureFallback' },
    complaint: undefined,
  };
}
