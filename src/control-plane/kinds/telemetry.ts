import type { Kind } from './kind.js';
import { checkPolicyTargets } from './policy-target.js';
import { createReport, entriesOf, fieldsOf, type Report } from './report.js';
import { telemetrySchema } from './telemetry-schema.js';
import type { TelemetrySpec } from './types.js';
import type { Document, FieldPath } from './view.js';

/** Istio Telemetry: traces, metrics and access logs of workloads. */
export const telemetryKind: Kind<'Telemetry'> = {
  name: 'Telemetry',
  apiVersions: ['telemetry.istio.io/v1', 'telemetry.istio.io/v1alpha1'],
  schema: telemetrySchema,
  validate,
};

/** Istio: ValidateTelemetry. */
function validate({ spec }: Document<'Telemetry'>) {
  const report = createReport();
  const { tracing = [], metrics, accessLogging } = spec;
  checkPolicyTargets(spec, report);
  if (tracing.length > 1) report.warn(['spec', 'tracing'], 'only one tracing takes effect');
  for (const [one, path] of entriesOf(tracing, ['spec', 'tracing'])) {
    if ((one.providers ?? []).length > 1) {
      report.warn([...path, 'providers'], 'only one provider of traces takes effect');
    }
    checkTags(one.customTags ?? {}, [...path, 'customTags'], report);
  }
  for (const [one, path] of entriesOf(metrics, ['spec', 'metrics'])) {
    for (const [override, at] of entriesOf(one.overrides, [...path, 'overrides'])) {
      checkOverride(override, at, report);
    }
  }
  for (const [{ filter }, path] of entriesOf(accessLogging, ['spec', 'accessLogging'])) {
    checkFilter(filter?.expression, [...path, 'filter', 'expression'], report);
  }
  return report.violations;
}

type Tags = NonNullable<NonNullable<TelemetrySpec['tracing']>[number]['customTags']>;

function checkTags(tags: Tags, path: FieldPath, report: Report): void {
  for (const [name, tag] of Object.entries(tags)) {
    const at = [...path, name];
    if (name === '') report.invalid(at, 'a tag needs a name');
    const sources = fieldsOf(tag);
    if (sources.length > 1) report.invalid(at, `a tag has only one of ${sources.join(', ')}`);
    if (tag.literal?.value === '') report.invalid([...at, 'literal', 'value'], 'a literal needs a value');
    for (const field of ['header', 'environment'] as const) {
      if (tag[field]?.name !== '') continue;
      report.invalid([...at, field, 'name'], `the ${field} of a tag needs a name`);
    }
  }
}

type Override = NonNullable<NonNullable<TelemetrySpec['metrics']>[number]['overrides']>[number];

function checkOverride({ match, tagOverrides = {} }: Override, path: FieldPath, report: Report): void {
  if (match?.customMetric === '') {
    report.invalid([...path, 'match', 'customMetric'], 'customMetric must not be empty');
  }
  if (match?.customMetric !== undefined && match.metric !== undefined) {
    report.invalid([...path, 'match', 'customMetric'], 'give either metric or customMetric');
  }
  for (const [name, { operation = 'UPSERT', value = '' }] of Object.entries(tagOverrides)) {
    const at = [...path, 'tagOverrides', name];
    if (name === '') report.warn(at, 'a tag needs a name');
    if (operation === 'UPSERT' && value === '') report.invalid(at, 'to set a tag takes a value');
    if (operation === 'REMOVE' && value !== '') {
      report.invalid([...at, 'value'], 'to remove a tag takes no value');
    }
  }
}

/** An expression in CEL: at least its brackets and quotes must be closed. */
function checkFilter(expression: string | undefined, path: FieldPath, report: Report): void {
  if (expression === undefined || expression === '') return;
  const problem = unbalanced(expression);
  if (problem !== undefined) report.invalid(path, `the expression is not CEL: ${problem}`);
}

const CLOSING: ReadonlyMap<string, string> = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
]);
const QUOTED = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g;

function unbalanced(expression: string): string | undefined {
  const bare = expression.replaceAll(QUOTED, '');
  const quote = /["']/.exec(bare);
  if (quote !== null) return `${quote[0]} is not closed`;
  const open: string[] = [];
  for (const bracket of bare.match(/[()[\]{}]/g) ?? []) {
    const closing = CLOSING.get(bracket);
    if (closing !== undefined) open.push(closing);
    else if (open.pop() !== bracket) return `${bracket} closes nothing`;
  }
  return open.length > 0 ? `${open.at(-1)} is missing` : undefined;
}
