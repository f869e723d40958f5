import { create } from '@bufbuild/protobuf';
import type { RbacPrincipal } from '../model/rbac.js';
import { rbac } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeStringMatcher, encodeStringMatcher } from './matcher.js';
import { at, type Path, refuse } from './path.js';
import { decodeCommon, decodeRange, encodeCommon, encodeRange } from './rbac-common.js';
import { decodeStateMatcher, encodeStateMatcher } from './value-matcher.js';

const principalFields = onlyFields(() => rbac.PrincipalSchema, {
  enforced: [
    'and_ids',
    'or_ids',
    'any',
    'authenticated',
    'source_ip',
    'direct_remote_ip',
    'remote_ip',
    'header',
    'url_path',
    'metadata',
    'filter_state',
    'not_id',
  ],
});

/** One principal. */
export function decodePrincipal(message: rbac.Principal, path: Path): RbacPrincipal {
  principalFields(message, path);
  const { identifier } = message;
  switch (identifier.case) {
    case 'andIds':
      return { kind: 'and', of: decodeSet(identifier.value, at(path, 'and_ids')) };
    case 'orIds':
      return { kind: 'or', of: decodeSet(identifier.value, at(path, 'or_ids')) };
    case 'notId':
      return { kind: 'not', of: decodePrincipal(identifier.value, at(path, 'not_id')) };
    case 'authenticated': {
      const { principalName } = identifier.value;
      const where = at(at(path, 'authenticated'), 'principal_name');
      return { kind: 'authenticated', name: principalName && decodeStringMatcher(principalName, where) };
    }
    case 'sourceIp':
      return { kind: 'ip', of: 'source', range: decodeRange(identifier.value, at(path, 'source_ip')) };
    case 'directRemoteIp':
      return { kind: 'ip', of: 'direct', range: decodeRange(identifier.value, at(path, 'direct_remote_ip')) };
    case 'remoteIp':
      return { kind: 'ip', of: 'remote', range: decodeRange(identifier.value, at(path, 'remote_ip')) };
    case 'filterState': {
      const matcher = decodeStateMatcher(identifier.value, at(path, 'filter_state'));
      return { kind: 'filter-state', matcher };
    }
    default:
      return decodeCommon(identifier, path) ?? refuse(path, 'needs an identifier');
  }
}

function decodeSet({ ids }: rbac.Principal_Set, path: Path): readonly RbacPrincipal[] {
  if (ids.length === 0) refuse(at(path, 'ids'), 'must not be empty');
  return ids.map((id, index) => decodePrincipal(id, at(path, 'ids', index)));
}

/** The principal as a message. */
export function encodePrincipal(principal: RbacPrincipal): rbac.Principal {
  return create(rbac.PrincipalSchema, { identifier: encodeIdentifier(principal) });
}

const IP_FIELDS = { source: 'sourceIp', direct: 'directRemoteIp', remote: 'remoteIp' } as const;

function encodeIdentifier(principal: RbacPrincipal): rbac.Principal['identifier'] {
  switch (principal.kind) {
    case 'and':
      return { case: 'andIds', value: encodeSet(principal.of) };
    case 'or':
      return { case: 'orIds', value: encodeSet(principal.of) };
    case 'not':
      return { case: 'notId', value: encodePrincipal(principal.of) };
    case 'authenticated': {
      const { name } = principal;
      const schema = rbac.Principal_AuthenticatedSchema;
      return {
        case: 'authenticated',
        value: create(schema, name === undefined ? {} : { principalName: encodeStringMatcher(name) }),
      };
    }
    case 'ip':
      return { case: IP_FIELDS[principal.of], value: encodeRange(principal.range) };
    case 'filter-state':
      return { case: 'filterState', value: encodeStateMatcher(principal.matcher) };
    default:
      return encodeCommon(principal);
  }
}

function encodeSet(principals: readonly RbacPrincipal[]): rbac.Principal_Set {
  return create(rbac.Principal_SetSchema, { ids: principals.map(encodePrincipal) });
}
