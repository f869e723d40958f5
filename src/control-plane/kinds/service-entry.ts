import { checkExportTo, checkLabels, checkSelector } from './common-rules.js';
import type { Kind } from './kind.js';
import {
  isDnsLabel,
  isDnsName,
  isIpAddress,
  isPartialWildcard,
  isSubnet,
  isWildcardDnsName,
} from './names.js';
import { isHttpProtocol, isProtocol, isTcpProtocol, isTlsProtocol } from './protocols.js';
import { createReport, entriesOf, type Report } from './report.js';
import { serviceEntrySchema } from './service-entry-schema.js';
import type { ServiceEntrySpec, WorkloadEntrySpec } from './types.js';
import type { Document, FieldPath } from './view.js';
import { checkUnixAddress, warnOfNoAddress } from './workload-entry.js';

/** Istio ServiceEntry. */
export const serviceEntryKind: Kind<'ServiceEntry'> = {
  name: 'ServiceEntry',
  apiVersions: ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3'],
  schema: serviceEntrySchema,
  validate,
};

const DYNAMIC_PROTOCOLS: ReadonlySet<string> = new Set(['http', 'http2', 'https', 'grpc', 'grpc-web', 'tls']);

function validate(document: Document<'ServiceEntry'>) {
  const report = createReport();
  const { spec } = document;
  checkHosts(spec, report);
  checkAddresses(spec, report);
  checkPorts(spec, report);
  if (spec.workloadSelector !== undefined) {
    checkSelector(spec.workloadSelector.labels, ['spec', 'workloadSelector'], report);
    if ((spec.endpoints ?? []).length > 0) {
      report.invalid(['spec', 'endpoints'], 'give either endpoints or workloadSelector');
    }
  }
  RESOLUTION_RULES[spec.resolution ?? 'NONE'](spec, report);
  checkHostsOfTcp(spec, report);
  checkAddressesOfTcp(document, report);
  for (const [endpoint, path] of entriesOf(spec.endpoints, ['spec', 'endpoints'])) {
    checkEndpoint(endpoint, spec, path, report);
  }
  checkExportTo(spec.exportTo, document.namespace, report, true);
  return report.violations;
}

function checkHosts(spec: ServiceEntrySpec, report: Report): void {
  if (spec.hosts.length === 0) report.invalid(['spec', 'hosts'], 'hosts must name a host');
  for (const [host, path] of entriesOf(spec.hosts, ['spec', 'hosts'])) {
    if (host === '*' || !isWildcardDnsName(host)) {
      report.invalid(path, `${JSON.stringify(host)} is not a host name`);
    } else if (isPartialWildcard(host)) {
      report.warn(
        path,
        `the wildcard of ${JSON.stringify(host)} should be a whole label, as in *.example.com`,
      );
    }
  }
}

function checkAddresses(spec: ServiceEntrySpec, report: Report): void {
  const { resolution = 'NONE' } = spec;
  for (const [address, path] of entriesOf(spec.addresses, ['spec', 'addresses'])) {
    if (!isSubnet(address)) report.invalid(path, `${JSON.stringify(address)} is not an IP address or subnet`);
    else if (address.includes('/') && resolution !== 'NONE' && resolution !== 'STATIC') {
      report.invalid(path, `the resolution ${resolution} does not allow subnets`);
    }
  }
}

function checkPorts(spec: ServiceEntrySpec, report: Report): void {
  const names = new Set<string>();
  const numbers = new Set<number>();
  for (const [port, path] of entriesOf(spec.ports, ['spec', 'ports'])) {
    if (!isDnsLabel(port.name))
      report.invalid([...path, 'name'], `${JSON.stringify(port.name)} is not the name of a port`);
    if (names.has(port.name))
      report.invalid([...path, 'name'], `the port name ${JSON.stringify(port.name)} is already used`);
    if (numbers.has(port.number))
      report.invalid([...path, 'number'], `the port ${port.number} is already used`);
    if (port.protocol && !isProtocol(port.protocol)) {
      report.invalid([...path, 'protocol'], `${JSON.stringify(port.protocol)} is not a protocol`);
    }
    names.add(port.name);
    numbers.add(port.number);
  }
}

type Resolution = NonNullable<ServiceEntrySpec['resolution']>;

const RESOLUTION_RULES: Readonly<Record<Resolution, (spec: ServiceEntrySpec, report: Report) => void>> = {
  NONE(spec, report) {
    if ((spec.endpoints ?? []).length > 0) {
      report.invalid(['spec', 'endpoints'], 'the resolution NONE takes no endpoints: use STATIC or DNS');
    }
    if (spec.workloadSelector !== undefined) {
      report.warn(['spec', 'workloadSelector'], 'the resolution NONE does not ask for workloads');
    }
  },
  STATIC(spec, report) {
    const isUnix = (spec.endpoints ?? []).some((endpoint) => endpoint.address?.startsWith('unix://'));
    if (isUnix && (spec.ports ?? []).length !== 1) {
      report.invalid(['spec', 'ports'], 'with an endpoint that is a unix socket there is exactly one port');
    }
  },
  DNS: checkDnsHosts,
  DNS_ROUND_ROBIN(spec, report) {
    checkDnsHosts(spec, report);
    if ((spec.endpoints ?? []).length > 1) {
      report.invalid(['spec', 'endpoints'], 'the resolution DNS_ROUND_ROBIN takes at most one endpoint');
    }
  },
  DYNAMIC_DNS(spec, report) {
    const resolution = 'the resolution DYNAMIC_DNS';
    for (const field of ['addresses', 'endpoints'] as const) {
      if ((spec[field] ?? []).length > 0) report.invalid(['spec', field], `${resolution} takes no ${field}`);
    }
    if (spec.workloadSelector !== undefined) {
      report.invalid(['spec', 'workloadSelector'], `${resolution} takes no workloadSelector`);
    }
    if (spec.location === 'MESH_INTERNAL') {
      report.invalid(['spec', 'location'], `${resolution} is for hosts outside of the mesh`);
    }
    for (const [host, path] of entriesOf(spec.hosts, ['spec', 'hosts'])) {
      if (!host.startsWith('*')) report.invalid(path, `${resolution} is for hosts with a wildcard`);
    }
    for (const [port, path] of entriesOf(spec.ports, ['spec', 'ports'])) {
      if (port.protocol && !DYNAMIC_PROTOCOLS.has(port.protocol.toLowerCase())) {
        report.invalid([...path, 'protocol'], `${resolution} needs the protocol HTTP, GRPC or TLS`);
      }
    }
  },
};

/** Connections of TCP carry no name: of several hosts nobody could tell which one is meant (Istio). */
function checkHostsOfTcp({ resolution = 'NONE', hosts, ports }: ServiceEntrySpec, report: Report): void {
  if (resolution === 'NONE' || resolution === 'DYNAMIC_DNS' || hosts.length < 2) return;
  for (const [{ protocol = '' }, path] of entriesOf(ports, ['spec', 'ports'])) {
    if (isHttpProtocol(protocol) || isTlsProtocol(protocol)) continue;
    report.invalid(path, 'several hosts need ports of HTTP or TLS: others carry no host name');
  }
}

/** Istio: whether a host without addresses gets one of its own; it can be turned off. */
function isAddressAllocated({ spec, labels }: Document<'ServiceEntry'>): boolean {
  const isOff = labels['networking.istio.io/enable-autoallocate-ip']?.toLowerCase() === 'false';
  return !isOff && (spec.resolution ?? 'NONE') !== 'NONE';
}

/** What Istio warns of: TCP is told by its address alone, and one address stands for one host. */
function checkAddressesOfTcp(document: Document<'ServiceEntry'>, report: Report): void {
  const { resolution = 'NONE', hosts, ports, addresses = [] } = document.spec;
  const isOfDns = resolution === 'DNS' || resolution === 'DNS_ROUND_ROBIN';
  for (const [{ protocol = '' }, path] of entriesOf(ports, ['spec', 'ports'])) {
    if (addresses.length === 0) {
      if ((protocol !== '' && protocol !== 'TCP') || isAddressAllocated(document)) continue;
      report.warn(path, 'TCP carries no host name: give addresses to tell the traffic of this port by');
    } else if (isOfDns && hosts.length > 1 && isTcpProtocol(protocol)) {
      report.warn(path, 'several hosts share the addresses: their connections cannot be told apart by them');
    }
  }
}

/** Without endpoints the hosts themselves are looked up in DNS. */
function checkDnsHosts(spec: ServiceEntrySpec, report: Report): void {
  if ((spec.endpoints ?? []).length > 0) return;
  for (const [host, path] of entriesOf(spec.hosts, ['spec', 'hosts'])) {
    if (!isDnsName(host))
      report.invalid(path, `without endpoints ${JSON.stringify(host)} must be a full DNS name`);
  }
}

function checkEndpoint(
  endpoint: WorkloadEntrySpec,
  spec: ServiceEntrySpec,
  path: FieldPath,
  report: Report,
): void {
  const { address = '', ports, labels } = endpoint;
  const names = new Set((spec.ports ?? []).map((port) => port.name));
  checkLabels(labels, [...path, 'labels'], report);
  if (address.startsWith('unix://') && spec.resolution === 'STATIC') {
    checkUnixAddress(endpoint, path, report);
    return;
  }
  const mayBeName = spec.resolution === 'DNS' || spec.resolution === 'DNS_ROUND_ROBIN';
  const mayBeEmpty = !mayBeName && endpoint.network !== undefined && endpoint.network !== '';
  if (address === '' && mayBeEmpty && spec.resolution === 'STATIC') warnOfNoAddress(endpoint, path, report);
  const isValid = isIpAddress(address) || (mayBeName && isDnsName(address)) || (address === '' && mayBeEmpty);
  if (!isValid && spec.resolution !== 'DYNAMIC_DNS') {
    const wanted = mayBeName ? 'an IP address or a full DNS name' : 'an IP address';
    report.invalid([...path, 'address'], `the address ${JSON.stringify(address)} must be ${wanted}`);
  }
  for (const name of Object.keys(ports ?? {})) {
    if (names.has(name)) continue;
    report.invalid([...path, 'ports', name], `the ServiceEntry has no port named ${JSON.stringify(name)}`);
  }
}
