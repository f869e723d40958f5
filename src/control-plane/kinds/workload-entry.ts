import { checkLabels } from './common-rules.js';
import type { Kind } from './kind.js';
import { isDnsLabel, isDnsName, isIpAddress } from './names.js';
import { createReport, type Report } from './report.js';
import { workloadEntrySchema } from './service-entry-schema.js';
import type { WorkloadEntrySpec } from './types.js';
import { checkUnixPath } from './unix-address.js';
import type { Document, FieldPath } from './view.js';

/** Istio WorkloadEntry. */
export const workloadEntryKind: Kind<'WorkloadEntry'> = {
  name: 'WorkloadEntry',
  apiVersions: ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3'],
  schema: workloadEntrySchema,
  validate,
};

function validate(document: Document<'WorkloadEntry'>) {
  const report = createReport();
  const { spec } = document;
  const { address = '', ports, labels, network } = spec;
  if (address.startsWith('unix://')) checkUnixAddress(spec, ['spec'], report);
  else if (address === '' && !network) report.invalid(['spec', 'address'], 'address is required');
  else if (address === '') warnOfNoAddress(spec, ['spec'], report);
  else if (address !== '' && !isIpAddress(address) && !isDnsName(address)) {
    report.invalid(['spec', 'address'], `${JSON.stringify(address)} is neither an IP address nor a DNS name`);
  }
  for (const name of Object.keys(ports ?? {})) {
    if (!isDnsLabel(name))
      report.invalid(['spec', 'ports', name], `${JSON.stringify(name)} is not the name of a port`);
  }
  checkLabels(labels, ['spec', 'labels'], report);
  return report.violations;
}

/** Istio: the gateway of a network is asked for a workload without an address. */
export function warnOfNoAddress({ network }: WorkloadEntrySpec, path: FieldPath, report: Report): void {
  report.warn(path, `without an address it is reached by a gateway of the network ${network} only`);
}

/** The address of a unix socket, which has no ports. */
export function checkUnixAddress(entry: WorkloadEntrySpec, path: FieldPath, report: Report): void {
  checkUnixPath(entry.address ?? '', [...path, 'address'], report);
  if (Object.keys(entry.ports ?? {}).length > 0)
    report.invalid([...path, 'ports'], 'a unix socket has no ports');
}
