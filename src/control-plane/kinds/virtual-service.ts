import { claimPath } from './claim-name.js';
import { checkExportTo, checkGatewayNames, checkLabels, MESH_GATEWAY } from './common-rules.js';
import { coversHost } from './hosts.js';
import { checkHttpRoute } from './http-route-rules.js';
import type { Kind } from './kind.js';
import {
  isDnsLabel,
  isDnsName,
  isIpAddress,
  isPartialWildcard,
  isSubnet,
  isWildcardDnsName,
} from './names.js';
import { createReport, entriesOf, type Report } from './report.js';
import { checkDestinations } from './route-destination-rules.js';
import type { HttpRoute, TcpRoute, TlsRoute, VirtualServiceSpec } from './types.js';
import type { Document, FieldPath } from './view.js';
import { virtualServiceReferences } from './virtual-service-references.js';
import { virtualServiceSchema } from './virtual-service-schema.js';

/** Istio VirtualService. */
export const virtualServiceKind: Kind<'VirtualService'> = {
  name: 'VirtualService',
  apiVersions: ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3'],
  schema: virtualServiceSchema,
  validate,
  references: virtualServiceReferences,
};

/** What Istio makes of routes of the Gateway API is marked by it. */
const SEMANTICS = 'internal.istio.io/route-semantics';

/** Whether the rules hold for clients in the mesh; the others hold for gateways only. */
export function appliesToMesh(spec: VirtualServiceSpec): boolean {
  const { gateways = [] } = spec;
  return gateways.length === 0 || gateways.includes(MESH_GATEWAY);
}

function validate(document: Document<'VirtualService'>) {
  const report = createReport();
  const { spec } = document;
  const isDelegate = (spec.hosts ?? []).length === 0;
  const isGenerated = document.annotations[SEMANTICS] === 'gateway';
  checkGatewayNames(spec.gateways, ['spec', 'gateways'], report, isGenerated);
  checkHosts(spec, report);
  if (isDelegate) checkDelegate(spec, report);
  if (!spec.http?.length && !spec.tcp?.length && !spec.tls?.length) {
    report.invalid(['spec'], 'the document has no routes: give it http, tls or tcp');
  }
  for (const [route, path] of entriesOf(spec.http, ['spec', 'http'])) {
    checkHttpRoute(route, path, isDelegate, report);
    if (appliesToMesh(spec)) checkNoClaims(route, path, report);
  }
  for (const [route, path] of entriesOf(spec.tls, ['spec', 'tls'])) {
    checkTlsMatches(route, spec, path, report);
    checkDestinations(route.route, path, report);
  }
  for (const [route, path] of entriesOf(spec.tcp, ['spec', 'tcp'])) {
    for (const [match, at] of entriesOf(route.match, [...path, 'match'])) checkL4Match(match, at, report);
    checkDestinations(route.route, path, report);
  }
  checkExportTo(spec.exportTo, document.namespace, report);
  return report.violations;
}

/** Istio: who calls as a member of the mesh has no token verified; only gateways choose routes by claims. */
function checkNoClaims({ match }: HttpRoute, path: FieldPath, report: Report): void {
  for (const [one, at] of entriesOf(match, [...path, 'match'])) {
    for (const field of ['headers', 'withoutHeaders'] as const) {
      for (const name of Object.keys(one[field] ?? {})) {
        if (claimPath(name) === undefined) continue;
        report.invalid([...at, field, name], 'routes are chosen by claims at gateways only: name gateways');
      }
    }
  }
}

/** Istio: a virtual service without hosts is a delegate, and takes everything else from its root. */
function checkDelegate(spec: VirtualServiceSpec, report: Report): void {
  for (const field of ['gateways', 'tls', 'tcp'] as const) {
    if ((spec[field] ?? []).length === 0) continue;
    report.invalid(['spec', field], `a VirtualService without hosts is a delegate, which has no ${field}`);
  }
}

function checkHosts(spec: VirtualServiceSpec, report: Report): void {
  const { hosts = [] } = spec;
  const all = new Set(hosts);
  const partial = hosts.filter(isPartialWildcard);
  const seen = new Set<string>();
  for (const [host, path] of entriesOf(hosts, ['spec', 'hosts'])) {
    const isHost = isWildcardDnsName(host) || isIpAddress(host) || isPassedHost(spec, host);
    if (!isHost) {
      report.invalid(path, `${JSON.stringify(host)} is neither a host name nor an IP address`);
    } else if (host === '*' && appliesToMesh(spec)) {
      report.invalid(path, 'the host "*" is for gateways only: name the hosts that clients in the mesh call');
    }
    const cover =
      [host, ...wildcardsOver(host)].find((other) => seen.has(other) || (other !== host && all.has(other))) ??
      partial.find((other) => other !== host && coversHost(other, host));
    if (cover !== undefined) {
      report.invalid(path, `the host ${JSON.stringify(host)} is already covered by ${JSON.stringify(cover)}`);
    }
    seen.add(host);
  }
}

/** The name of a cluster as SNI, `outbound_.80_.v1_.reviews.default.svc.cluster.local`: gateways between clusters pass it. */
const OUTBOUND_HOST = /^outbound_\.\d{1,5}_\.[a-zA-Z0-9-]{0,63}_\.(.+)$/;

function isPassedHost(spec: VirtualServiceSpec, host: string): boolean {
  const name = OUTBOUND_HOST.exec(host)?.[1];
  const hasSni = (spec.tls ?? []).some(({ match }) => match.some(({ sniHosts }) => sniHosts.length > 0));
  return name !== undefined && hasSni && !appliesToMesh(spec) && isDnsName(name);
}

/** The wildcards that cover a host: `*.b.c` and `*.c` and `*` for `a.b.c`. */
function wildcardsOver(host: string): readonly string[] {
  if (host === '*') return [];
  const labels = host.split('.').slice(1);
  return [...labels.map((_, index) => `*.${labels.slice(index).join('.')}`), '*'].filter(
    (one) => one !== host,
  );
}

type L4Match = NonNullable<TcpRoute['match']>[number] | TlsRoute['match'][number];

function checkL4Match(match: L4Match, path: readonly (string | number)[], report: Report): void {
  for (const [subnet, at] of entriesOf(match.destinationSubnets, [...path, 'destinationSubnets'])) {
    if (!isSubnet(subnet)) report.invalid(at, `${JSON.stringify(subnet)} is not an IP address or subnet`);
  }
  checkGatewayNames(match.gateways, [...path, 'gateways'], report);
  checkLabels(match.sourceLabels, [...path, 'sourceLabels'], report);
  const { sourceNamespace } = match;
  if (sourceNamespace !== undefined && !isDnsLabel(sourceNamespace)) {
    report.invalid([...path, 'sourceNamespace'], `${JSON.stringify(sourceNamespace)} is not a namespace`);
  }
}

function checkTlsMatches(
  route: TlsRoute,
  spec: VirtualServiceSpec,
  path: readonly (string | number)[],
  report: Report,
): void {
  if (route.match.length === 0) report.invalid([...path, 'match'], 'a TLS route needs a match');
  for (const [match, at] of entriesOf(route.match, [...path, 'match'])) {
    checkL4Match(match, at, report);
    if (match.sniHosts.length === 0) report.invalid([...at, 'sniHosts'], 'sniHosts must name a host');
    for (const [name, where] of entriesOf(match.sniHosts, [...at, 'sniHosts'])) {
      if (isIpAddress(name)) report.warn(where, 'SNI carries names: hardly a client sends an IP address');
      else if (!isWildcardDnsName(name) && !isPassedHost(spec, name)) {
        report.invalid(where, `${JSON.stringify(name)} is not a host name`);
      } else if (!(spec.hosts ?? []).some((host) => coversHost(host, name))) {
        report.invalid(where, `${JSON.stringify(name)} is not among the hosts of the document`);
      }
    }
  }
}
