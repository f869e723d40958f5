import { create } from '@bufbuild/protobuf';
import type { RbacPermission } from '../model/rbac.js';
import { rbac, type } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeStringMatcher, encodeStringMatcher } from './matcher.js';
import { at, type Path, refuse } from './path.js';
import { decodePathTemplate, encodePathTemplate } from './path-template.js';
import { decodeCommon, decodeRange, encodeCommon, encodeRange } from './rbac-common.js';

const permissionFields = onlyFields(() => rbac.PermissionSchema, {
  enforced: [
    'and_rules',
    'or_rules',
    'any',
    'header',
    'url_path',
    'destination_ip',
    'destination_port',
    'destination_port_range',
    'metadata',
    'not_rule',
    'requested_server_name',
    'uri_template',
  ],
});

const MAX_PORT = 65_535;

/** One permission. */
export function decodePermission(message: rbac.Permission, path: Path): RbacPermission {
  permissionFields(message, path);
  const { rule } = message;
  switch (rule.case) {
    case 'andRules':
      return { kind: 'and', of: decodeSet(rule.value, at(path, 'and_rules')) };
    case 'orRules':
      return { kind: 'or', of: decodeSet(rule.value, at(path, 'or_rules')) };
    case 'notRule':
      return { kind: 'not', of: decodePermission(rule.value, at(path, 'not_rule')) };
    case 'destinationIp':
      return { kind: 'destination-ip', range: decodeRange(rule.value, at(path, 'destination_ip')) };
    case 'destinationPort': {
      if (rule.value > MAX_PORT) refuse(at(path, 'destination_port'), 'is no port');
      return { kind: 'destination-port', start: rule.value, end: rule.value + 1 };
    }
    case 'destinationPortRange':
      return decodePorts(rule.value, at(path, 'destination_port_range'));
    case 'requestedServerName': {
      const matcher = decodeStringMatcher(rule.value, at(path, 'requested_server_name'));
      return { kind: 'server-name', matcher };
    }
    case 'uriTemplate': {
      const matcher = decodePathTemplate(rule.value, at(path, 'uri_template'));
      if (matcher.kind !== 'template') return refuse(at(path, 'uri_template'), 'is no template');
      return { kind: 'template', template: matcher.template };
    }
    default:
      return decodeCommon(rule, path) ?? refuse(path, 'needs a rule');
  }
}

function decodeSet({ rules }: rbac.Permission_Set, path: Path): readonly RbacPermission[] {
  if (rules.length === 0) refuse(at(path, 'rules'), 'must not be empty');
  return rules.map((rule, index) => decodePermission(rule, at(path, 'rules', index)));
}

function decodePorts({ start, end }: type.Int32Range, path: Path): RbacPermission {
  // Envoy: both ends are ports, the second not before the first.
  if (start < 0 || end > MAX_PORT + 1 || start >= end) refuse(path, 'is no range of ports');
  return { kind: 'destination-port', start, end };
}

/** The permission as a message. */
export function encodePermission(permission: RbacPermission): rbac.Permission {
  return create(rbac.PermissionSchema, { rule: encodeRule(permission) });
}

function encodeRule(permission: RbacPermission): rbac.Permission['rule'] {
  switch (permission.kind) {
    case 'and':
      return { case: 'andRules', value: encodeSet(permission.of) };
    case 'or':
      return { case: 'orRules', value: encodeSet(permission.of) };
    case 'not':
      return { case: 'notRule', value: encodePermission(permission.of) };
    case 'destination-ip':
      return { case: 'destinationIp', value: encodeRange(permission.range) };
    case 'destination-port': {
      const { start, end } = permission;
      return end === start + 1
        ? { case: 'destinationPort', value: start }
        : { case: 'destinationPortRange', value: create(type.Int32RangeSchema, { start, end }) };
    }
    case 'server-name':
      return { case: 'requestedServerName', value: encodeStringMatcher(permission.matcher) };
    case 'template':
      return { case: 'uriTemplate', value: encodePathTemplate(permission.template, 'uri-template') };
    default:
      return encodeCommon(permission);
  }
}

function encodeSet(permissions: readonly RbacPermission[]): rbac.Permission_Set {
  return create(rbac.Permission_SetSchema, { rules: permissions.map(encodePermission) });
}
