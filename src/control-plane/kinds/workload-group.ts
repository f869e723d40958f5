import { checkLabels } from './common-rules.js';
import type { Kind } from './kind.js';
import { createReport, entriesOf, type Report } from './report.js';
import type { WorkloadGroupSpec } from './types.js';
import { checkUnixPath, isUnixAddress } from './unix-address.js';
import type { Document, FieldPath } from './view.js';
import { workloadGroupSchema } from './workload-group-schema.js';

/** Istio WorkloadGroup: what workloads that register by themselves have in common. */
export const workloadGroupKind: Kind<'WorkloadGroup'> = {
  name: 'WorkloadGroup',
  apiVersions: ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3'],
  schema: workloadGroupSchema,
  validate,
};

/** Istio: ValidateWorkloadGroup. The template needs no address: each workload brings its own. */
function validate({ spec }: Document<'WorkloadGroup'>) {
  const report = createReport();
  const { metadata, template, probe } = spec;
  checkLabels(metadata?.labels, ['spec', 'metadata', 'labels'], report);
  checkLabels(template.labels, ['spec', 'template', 'labels'], report);
  if (isUnixAddress(template.address ?? '')) {
    checkUnixPath(template.address ?? '', ['spec', 'template', 'address'], report);
    if (Object.keys(template.ports ?? {}).length > 0) {
      report.invalid(['spec', 'template', 'ports'], 'a unix socket has no ports');
    }
  }
  if (probe !== undefined) checkProbe(probe, ['spec', 'probe'], report);
  return report.violations;
}

const METHODS = ['httpGet', 'tcpSocket', 'exec', 'grpc'] as const;
const PROBE_HEADER = /^[-A-Za-z0-9]+$/;

/** Istio: validateReadinessProbe. */
function checkProbe(probe: NonNullable<WorkloadGroupSpec['probe']>, path: FieldPath, report: Report): void {
  const [method, second] = METHODS.filter((one) => probe[one] !== undefined);
  if (method === undefined) report.invalid(path, `a probe needs one of ${METHODS.join(', ')}`);
  if (second !== undefined)
    report.invalid([...path, second], `a probe has only one of ${METHODS.join(', ')}`);
  for (const [{ name = '' }, at] of entriesOf(probe.httpGet?.httpHeaders, [
    ...path,
    'httpGet',
    'httpHeaders',
  ])) {
    if (!PROBE_HEADER.test(name)) {
      report.invalid([...at, 'name'], `${JSON.stringify(name)} is not the name of a header`);
    }
  }
  if (probe.exec?.command.length === 0) {
    report.invalid([...path, 'exec', 'command'], 'exec needs a command');
  }
}
