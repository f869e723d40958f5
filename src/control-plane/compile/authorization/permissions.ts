import type { RbacPermission } from '../../../model/rbac.js';
import { isPathTemplate } from '../../kinds/authorization-attributes.js';
import type { AuthorizationOperation, AuthorizationRule } from '../../kinds/types.js';
import type { Condition } from './conditions.js';
import { anyOf, headerMatcher, rangeOf, textMatcher } from './matchers.js';

type When = NonNullable<AuthorizationRule['when']>[number];
type PermissionCondition = Condition<RbacPermission>;

const EXPERIMENTAL = 'experimental.';
const FILTERS = `${EXPERIMENTAL}envoy.filters.`;

/** The conditions of an operation; the order is Istio's. */
export function operationConditions(
  operation: AuthorizationOperation | undefined,
): readonly PermissionCondition[] {
  if (operation === undefined) return [];
  const { hosts, notHosts, methods, notMethods, paths, notPaths, ports, notPorts } = operation;
  const hasTemplate = [...(paths ?? []), ...(notPaths ?? [])].some(isPathTemplate);
  const all: readonly PermissionCondition[] = [
    { ...lists(hosts, notHosts), needs: 'http', match: oneOf(hostPermission) },
    { ...lists(methods, notMethods), needs: 'http', match: oneOf(methodPermission) },
    { ...lists(paths, notPaths), needs: hasTemplate ? 'template' : 'http', match: oneOf(pathPermission) },
    { ...lists(ports, notPorts), needs: 'connection', match: oneOf(portPermission) },
  ];
  return all.filter(isGiven);
}

/** A condition of `when` that is about what is asked for; undefined when it is about who asks. */
export function whenPermission({ key, values, notValues }: When): PermissionCondition | undefined {
  const given = lists(values, notValues);
  switch (key) {
    case 'destination.ip':
      return { ...given, needs: 'connection', match: oneOf(addressPermission) };
    case 'destination.port':
      return { ...given, needs: 'connection', match: oneOf(portPermission) };
    case 'connection.sni':
      return { ...given, needs: 'sni', match: oneOf(serverPermission) };
    default:
      return key.startsWith(FILTERS)
        ? { ...given, needs: 'metadata', match: (all) => metadataPermission(key, all) }
        : undefined;
  }
}

/** Both lists of a condition. */
export function lists(values: readonly string[] = [], notValues: readonly string[] = []) {
  return { values, notValues };
}

/** Whether a condition says something. */
export function isGiven({ values, notValues }: Pick<Condition<unknown>, 'values' | 'notValues'>): boolean {
  return values.length + notValues.length > 0;
}

function oneOf(make: (value: string) => RbacPermission): PermissionCondition['match'] {
  return (values) => ({ kind: 'or', of: values.map(make) });
}

function hostPermission(value: string): RbacPermission {
  return { kind: 'header', matcher: headerMatcher(':authority', value, true) };
}

function methodPermission(value: string): RbacPermission {
  return { kind: 'header', matcher: headerMatcher(':method', value) };
}

function pathPermission(value: string): RbacPermission {
  if (!isPathTemplate(value)) return { kind: 'path', matcher: textMatcher(value) };
  return { kind: 'template', template: value.replaceAll('{*}', '*').replaceAll('{**}', '**') };
}

function portPermission(value: string): RbacPermission {
  return { kind: 'destination-port', start: Number(value), end: Number(value) + 1 };
}

function addressPermission(value: string): RbacPermission {
  return { kind: 'destination-ip', range: rangeOf(value) };
}

function serverPermission(value: string): RbacPermission {
  return { kind: 'server-name', matcher: textMatcher(value) };
}

/** `experimental.envoy.filters.a.b[c]`: the value `c` of the filter `envoy.filters.a.b`; `[v]` is a member of a list. */
function metadataPermission(key: string, values: readonly string[]): RbacPermission {
  const [, namespace = '', name = ''] = /^experimental\.([^[]+)\[(.+)\]$/s.exec(key) ?? [];
  const value = anyOf(
    values.map((text) => {
      const isMember = text.startsWith('[') && text.endsWith(']');
      const matcher = textMatcher(isMember ? text.replaceAll(/^[[\]]+|[[\]]+$/g, '') : text);
      return isMember
        ? { kind: 'one-of', matcher: { kind: 'string', matcher } }
        : { kind: 'string', matcher };
    }),
  );
  return { kind: 'metadata', matcher: { namespace, path: [name], value, invert: false } };
}
