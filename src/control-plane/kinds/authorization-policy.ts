import {
  checkAddress,
  checkCondition,
  checkPath,
  checkPortText,
  checkServiceAccount,
  checkTrustDomain,
  checkValues,
  type ValueRule,
} from './authorization-attributes.js';
import { authorizationPolicySchema } from './authorization-policy-schema.js';
import type { Kind } from './kind.js';
import { checkPolicyTargets } from './policy-target.js';
import { createReport, entriesOf, type Report } from './report.js';
import type {
  AuthorizationOperation,
  AuthorizationPolicySpec,
  AuthorizationRule,
  AuthorizationSource,
} from './types.js';
import type { Document, FieldPath } from './view.js';

/** Istio AuthorizationPolicy. */
export const authorizationPolicyKind: Kind<'AuthorizationPolicy'> = {
  name: 'AuthorizationPolicy',
  apiVersions: ['security.istio.io/v1', 'security.istio.io/v1beta1'],
  schema: authorizationPolicySchema,
  validate,
};

const MAX_RULES = 512;
const MAX_ACCOUNTS = 16;

/** The annotation by which a policy is tried out without an effect. */
export const DRY_RUN = 'istio.io/dry-run';

/** Texts that Go's ParseBool takes, which Istio reads the annotation with. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map(
  [
    ['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
    ['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const),
  ].flat(),
);

/** Whether a policy is tried out only. */
export function isDryRun({ annotations }: Pick<Document, 'annotations'>): boolean {
  return BOOLEANS.get(annotations[DRY_RUN] ?? '') ?? false;
}

/** Istio: ValidateAuthorizationPolicy. */
function validate(document: Document<'AuthorizationPolicy'>) {
  const report = createReport();
  const { spec, annotations } = document;
  checkPolicyTargets(spec, report);
  checkDryRun(annotations, spec, report);
  checkAction(spec, report);
  const path = ['spec', 'rules'];
  if ((spec.rules?.length ?? 0) > MAX_RULES)
    report.invalid(path, `rules must have at most ${MAX_RULES} entries`);
  for (const [rule, at] of entriesOf(spec.rules, path)) {
    checkRule(rule, at, report);
    if (spec.action === 'CUSTOM') checkCustomRule(rule, at, report);
    if (spec.action === 'DENY' && isWideOnTcp(rule)) {
      report.warn(
        at,
        'on ports without HTTP this rule denies every connection: it names no port, and its other fields are of HTTP only',
      );
    }
  }
  return report.violations;
}

function checkDryRun(
  annotations: Readonly<Record<string, string>>,
  { action = 'ALLOW' }: AuthorizationPolicySpec,
  report: Report,
): void {
  const value = annotations[DRY_RUN];
  if (value === undefined) return;
  const path = ['metadata', 'annotations', DRY_RUN];
  if (action !== 'ALLOW' && action !== 'DENY') {
    report.invalid(path, `only policies of action ALLOW and DENY can be tried out, not ${action}`);
  } else if (!BOOLEANS.has(value)) {
    report.invalid(path, `${JSON.stringify(value)} is neither true nor false`);
  }
}

function checkAction({ action = 'ALLOW', provider, rules }: AuthorizationPolicySpec, report: Report): void {
  const path = ['spec', 'action'];
  const hint = 'add the empty rule {} to have it match every request';
  if (action === 'CUSTOM' && rules === undefined) {
    report.invalid(path, `a policy of action CUSTOM without rules never has an effect; ${hint}`);
  } else if (action === 'CUSTOM' && !provider?.name) {
    report.invalid(['spec', 'provider'], 'a policy of action CUSTOM needs the name of a provider');
  }
  if (action !== 'CUSTOM' && provider !== undefined) {
    report.invalid(['spec', 'provider'], `a provider is for the action CUSTOM, not for ${action}`);
  }
  if (action === 'DENY' && rules === undefined) {
    report.invalid(path, `a policy of action DENY without rules never has an effect; ${hint}`);
  }
}

function checkRule({ from, to, when }: AuthorizationRule, path: FieldPath, report: Report): void {
  if (from?.length === 0)
    report.invalid([...path, 'from'], 'from must not be empty; leave it out for any source');
  if (to?.length === 0)
    report.invalid([...path, 'to'], 'to must not be empty; leave it out for any operation');
  if ((from?.length ?? 0) > MAX_RULES) {
    report.invalid([...path, 'from'], `from must have at most ${MAX_RULES} entries`);
  }
  for (const [{ source }, at] of entriesOf(from, [...path, 'from'])) {
    if (source === undefined) report.invalid(at, 'source is required');
    else checkSource(source, [...at, 'source'], report);
  }
  for (const [{ operation }, at] of entriesOf(to, [...path, 'to'])) {
    if (operation === undefined) report.invalid(at, 'operation is required');
    else checkOperation(operation, [...at, 'operation'], report);
  }
  for (const [condition, at] of entriesOf(when, [...path, 'when'])) checkCondition(condition, at, report);
}

const anyText: ValueRule = () => undefined;

const SOURCE_RULES: Readonly<Record<keyof AuthorizationSource, ValueRule>> = {
  principals: anyText,
  notPrincipals: anyText,
  requestPrincipals: anyText,
  notRequestPrincipals: anyText,
  namespaces: anyText,
  notNamespaces: anyText,
  serviceAccounts: checkServiceAccount,
  notServiceAccounts: checkServiceAccount,
  ipBlocks: checkAddress,
  notIpBlocks: checkAddress,
  remoteIpBlocks: checkAddress,
  notRemoteIpBlocks: checkAddress,
  trustDomains: checkTrustDomain,
  notTrustDomains: checkTrustDomain,
};

function checkSource(source: AuthorizationSource, path: FieldPath, report: Report): void {
  const given = givenLists(source);
  if (given.size === 0) report.invalid(path, 'a source must not be empty; leave out from for any source');
  const names = (...fields: readonly (keyof AuthorizationSource)[]) =>
    fields.some((field) => given.has(field));
  if (
    names('serviceAccounts', 'notServiceAccounts') &&
    names('principals', 'notPrincipals', 'namespaces', 'notNamespaces')
  ) {
    report.invalid(path, 'serviceAccounts cannot be given with principals or namespaces');
  }
  for (const field of ['serviceAccounts', 'notServiceAccounts'] as const) {
    if ((source[field]?.length ?? 0) <= MAX_ACCOUNTS) continue;
    report.invalid([...path, field], `${field} must have at most ${MAX_ACCOUNTS} entries`);
  }
  checkLists(source, SOURCE_RULES, path, report);
}

const OPERATION_RULES: Readonly<Record<keyof AuthorizationOperation, ValueRule>> = {
  hosts: anyText,
  notHosts: anyText,
  ports: checkPortText,
  notPorts: checkPortText,
  methods: anyText,
  notMethods: anyText,
  paths: checkPath,
  notPaths: checkPath,
};

function checkOperation(operation: AuthorizationOperation, path: FieldPath, report: Report): void {
  if (givenLists(operation).size === 0) {
    report.invalid(path, 'an operation must not be empty; leave out to for any operation');
  }
  checkLists(operation, OPERATION_RULES, path, report);
}

/** The lists that have an entry. */
function givenLists<T extends object>(lists: T): ReadonlySet<keyof T> {
  // The keys of the parsed object are those of its type: its schema is strict.
  const keys = Object.keys(lists) as (keyof T)[];
  return new Set(keys.filter((key) => Array.isArray(lists[key]) && lists[key].length > 0));
}

function checkLists<K extends string>(
  lists: { readonly [F in K]?: readonly string[] | undefined },
  rules: Readonly<Record<K, ValueRule>>,
  path: FieldPath,
  report: Report,
): void {
  // The keys of the record are K by its type.
  for (const field of Object.keys(rules) as K[])
    checkValues(lists[field], [...path, field], rules[field], report);
}

/** Istio: who is called decides before anybody's identity is known. */
function checkCustomRule({ from, when }: AuthorizationRule, path: FieldPath, report: Report): void {
  const refused: readonly (keyof AuthorizationSource)[] = [
    'namespaces',
    'notNamespaces',
    'serviceAccounts',
    'notServiceAccounts',
    'trustDomains',
    'notTrustDomains',
    'principals',
    'notPrincipals',
    'requestPrincipals',
    'notRequestPrincipals',
  ];
  for (const [{ source }, at] of entriesOf(from, [...path, 'from'])) {
    for (const field of refused) {
      if ((source?.[field]?.length ?? 0) === 0) continue;
      report.invalid([...at, 'source', field], `${field} cannot be used with the action CUSTOM`);
    }
  }
  for (const [{ key }, at] of entriesOf(when, [...path, 'when'])) {
    const isIdentity =
      ['source.namespace', 'source.serviceAccount', 'source.trustDomain', 'source.principal'].includes(key) ||
      key.startsWith('request.auth.');
    if (isIdentity) report.invalid([...at, 'key'], `${key} cannot be used with the action CUSTOM`);
  }
}

/** Istio: a DENY rule with fields of HTTP only matches every connection of other ports. */
function isWideOnTcp({ from = [], to = [] }: AuthorizationRule): boolean {
  const sources = from.flatMap(({ source }) => (source === undefined ? [] : [source]));
  const operations = to.flatMap(({ operation }) => (operation === undefined ? [] : [operation]));
  const hasSourceOfTcp = sources.some((one) =>
    Object.entries(one).some(
      ([field, list]) =>
        list !== undefined && field !== 'requestPrincipals' && field !== 'notRequestPrincipals',
    ),
  );
  const hasPort = operations.some(({ ports, notPorts }) => ports !== undefined || notPorts !== undefined);
  return (
    (sources.length > 0 && operations.length === 0 && !hasSourceOfTcp) || (operations.length > 0 && !hasPort)
  );
}
