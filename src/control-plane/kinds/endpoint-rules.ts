import { isIPv4, isIPv6 } from 'node:net';
import { isDnsLabel, isIpAddress } from './names.js';
import { createReport, entriesOf, type Report } from './report.js';
import type { Document, FieldPath } from './view.js';

type Slice = Document<'EndpointSlice'>['spec'];

/** RFC 1123 as Kubernetes has it: lower case, no dot at the end. */
const SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/** Whether the text is a DNS name as Kubernetes writes them. */
export function isSubdomain(text: string): boolean {
  return text.length <= 253 && SUBDOMAIN.test(text);
}

const IS_ADDRESS: Readonly<Record<Slice['addressType'], (text: string) => boolean>> = {
  IPv4: isIPv4,
  IPv6: isIPv6,
  FQDN: isSubdomain,
};

/** Kubernetes: ValidateEndpointSlice, as far as inmesh reads of it. */
export function validateEndpointSlice({ spec }: Document<'EndpointSlice'>) {
  const report = createReport();
  const { addressType, endpoints, ports } = spec;
  for (const [{ addresses }, path] of entriesOf(endpoints, ['endpoints'])) {
    for (const [address, at] of entriesOf(addresses, [...path, 'addresses'])) {
      if (IS_ADDRESS[addressType](address)) continue;
      report.invalid(at, `${JSON.stringify(address)} is not an address of the type ${addressType}`);
    }
  }
  checkPortNames(ports, ['ports'], report);
  return report.violations;
}

/** Kubernetes: validateEndpointSubsets, as far as inmesh reads of it. */
export function validateEndpoints({ spec }: Document<'Endpoints'>) {
  const report = createReport();
  for (const [{ addresses, ports = [] }, path] of entriesOf(spec.subsets, ['subsets'])) {
    for (const [{ ip }, at] of entriesOf(addresses, [...path, 'addresses'])) {
      if (!isIpAddress(ip)) report.invalid([...at, 'ip'], `${JSON.stringify(ip)} is not an IP address`);
    }
    for (const [{ name = '' }, at] of entriesOf(ports, [...path, 'ports'])) {
      if (name === '' && ports.length > 1) report.invalid(at, 'each of several ports needs a name');
    }
    checkPortNames(ports, [...path, 'ports'], report);
  }
  return report.violations;
}

function checkPortNames(
  ports: readonly { readonly name?: string | undefined }[] | undefined,
  path: FieldPath,
  report: Report,
): void {
  const seen = new Set<string>();
  for (const [{ name = '' }, at] of entriesOf(ports, path)) {
    const shown = JSON.stringify(name);
    if (name !== '' && !isDnsLabel(name))
      report.invalid([...at, 'name'], `${shown} is not the name of a port`);
    if (seen.has(name)) report.invalid(at, `the port name ${shown} is already used`);
    seen.add(name);
  }
}
