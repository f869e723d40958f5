import { istioId } from '../../identity/spiffe-id.js';
import type { Node, PlaintextCaller } from '../../model/node.js';
import { isExternal } from '../compile/clusters.js';
import { type MtlsMode, peerAuthentications } from '../compile/peer-authentication.js';
import { coversHost, fullHostName } from '../kinds/hosts.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { listServices } from '../mesh/services.js';
import { refusedBy } from '../policy/decide.js';
import { policyOfPeerAuthentications } from '../policy/from-peer-authentication.js';
import type { WorkloadPolicy } from '../policy/workload-policy.js';
import { type RegistrySnapshot, workloadsIn } from '../registry/snapshot.js';
import type { Workload } from '../registry/workload.js';

/** A caller without TLS, and what comes of it. */
export interface PlaintextUse extends PlaintextCaller {
  /** Registered services at the caller's address. */
  readonly candidates: readonly string[];
  /** Whether it is refused now. */
  readonly isRefused: boolean;
}

/** One served port. */
export interface MtlsWorkload {
  readonly service: string;
  readonly namespace: string;
  readonly address: string;
  readonly port: number;
  /** SPIFFE ID; undefined when it has none. */
  readonly identity: string | undefined;
  readonly mode: MtlsMode;
  /** The PeerAuthentications that hold for it, `namespace/name`, widest first. */
  readonly policies: readonly string[];
  /** What they come to, as rules. */
  readonly rules: readonly WorkloadPolicy[];
  readonly plaintext: readonly PlaintextUse[];
  /** Whether its mode may become STRICT without anybody being refused, as far as is known. */
  readonly isReadyForStrict: boolean;
}

/** A document by which clients send plaintext to services of the mesh. */
export interface PlaintextRule {
  /** `namespace/name` of the DestinationRule. */
  readonly rule: string;
  readonly host: string;
  readonly services: readonly string[];
}

/** Who speaks mTLS to whom, and who would be refused were everything STRICT. */
export interface MtlsReport {
  readonly revision: number;
  readonly workloads: readonly MtlsWorkload[];
  /** DestinationRules that take TLS from connections to services of the mesh. */
  readonly plaintextRules: readonly PlaintextRule[];
  /** Registered workloads without an identity: as callers they would be refused. */
  readonly withoutIdentity: readonly string[];
  /** Reasons not to make everything STRICT yet. */
  readonly obstacles: number;
}

/** What the report is made from. */
export interface MtlsReportInput {
  readonly view: ConfigView;
  readonly config: MeshConfig;
  readonly registry: RegistrySnapshot;
  readonly nodes: readonly Node[];
  /** Only what is in this namespace; undefined = all. */
  readonly namespace?: string | undefined;
}

/** Works out who would break if mTLS became STRICT: from what members saw, and from what documents say. */
export function mtlsReport(input: MtlsReportInput): MtlsReport {
  const { view, registry, namespace } = input;
  const isAsked = (one: { readonly namespace: string }) =>
    namespace === undefined || one.namespace === namespace;
  const asked = [...workloadsIn(registry)].filter(isAsked);
  const workloads = asked.map((one) => describe(one, input));
  const plaintextRules = rulesWithoutTls(input).filter(({ services }) =>
    services.some((host) => isAsked({ namespace: host.split('.')[1] ?? '' })),
  );
  const withoutIdentity = asked.filter(({ tlsMode }) => tlsMode === 'disabled');
  const names = [...new Set(withoutIdentity.map(({ service, namespace: of }) => `${service}.${of}`))].sort();
  return {
    revision: view.revision,
    workloads: workloads.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
    plaintextRules,
    withoutIdentity: names,
    obstacles:
      workloads.filter(({ isReadyForStrict }) => !isReadyForStrict).length +
      plaintextRules.length +
      names.length,
  };
}

function keyOf({ namespace, service, address, port }: MtlsWorkload): string {
  return [namespace, service, address, port].join(' ');
}

function describe(workload: Workload, { view, config, registry, nodes }: MtlsReportInput): MtlsWorkload {
  const found = peerAuthentications(view, config)(workload);
  const { service, namespace, address, port, serviceAccount, tlsMode } = workload;
  const rule = policyOfPeerAuthentications(found, config.rootNamespace);
  const rules = rule === undefined ? [] : [rule];
  const node = nodes.find(({ id }) => id === workload.owner);
  const callers = node?.metadata.INMESH_PLAINTEXT?.filter((one) => one.port === port) ?? [];
  const isIdentified = tlsMode === 'istio';
  return {
    service,
    namespace,
    address,
    port,
    identity: isIdentified
      ? istioId(config.trustDomain, namespace, serviceAccount || 'default').toString()
      : undefined,
    mode: found.ports.get(port) ?? found.base,
    policies: [found.mesh, found.namespace, found.workload].flatMap((one) =>
      one === undefined ? [] : [nameOf(one)],
    ),
    rules,
    plaintext: callers.map((one) => ({
      ...one,
      candidates: candidates(one.source, registry),
      isRefused:
        refusedBy(rules, {
          principal: undefined,
          sourceIp: one.source,
          destinationIp: address,
          destinationPort: port,
        }) !== undefined,
    })),
    isReadyForStrict: isIdentified && callers.every(({ connections }) => connections === 0),
  };
}

function nameOf({ namespace, name }: Document): string {
  return `${namespace}/${name}`;
}

/** Addresses that everybody on a machine shares say nothing. */
function candidates(source: string, registry: RegistrySnapshot): readonly string[] {
  if (source === '' || source.startsWith('127.') || source === '::1') return [];
  const names = [...workloadsIn(registry)]
    .filter(({ address }) => address === source)
    .map((one) => `${one.service}.${one.namespace}`);
  return [...new Set(names)].sort();
}

/** Istio: a DestinationRule's `tls` goes before auto-mTLS. */
function rulesWithoutTls({ view, registry }: MtlsReportInput): readonly PlaintextRule[] {
  const services = listServices(view, registry).filter((service) => !isExternal(service));
  const found: PlaintextRule[] = [];
  for (const document of view.list('DestinationRule')) {
    const { host, trafficPolicy, subsets = [] } = document.spec;
    const policies = [trafficPolicy, ...subsets.map((one) => one.trafficPolicy)];
    const settings = policies.flatMap((one) => [
      one?.tls,
      ...(one?.portLevelSettings ?? []).map(({ tls }) => tls),
    ]);
    if (!settings.some((tls) => tls !== undefined && tls.mode !== 'ISTIO_MUTUAL')) continue;
    const covered = services.filter((one) => coversHost(fullHostName(host, document.namespace), one.host));
    if (covered.length === 0) continue;
    found.push({ rule: nameOf(document), host, services: [...new Set(covered.map((one) => one.host))] });
  }
  return found;
}
