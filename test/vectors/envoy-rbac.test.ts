import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { decodeHeaderMatcher } from '../../src/codec/matcher.js';
import { rootPath } from '../../src/codec/path.js';
import { decodeMatchTree } from '../../src/codec/match-tree.js';
import { decodePolicy, decodeRules, RBAC_TREE } from '../../src/codec/rbac.js';
import { decodePermission } from '../../src/codec/rbac-permission.js';
import { decodePrincipal } from '../../src/codec/rbac-principal.js';
import {
  compilePermission,
  compilePolicy,
  compilePrincipal,
  compileRbac,
  compileRbacTree,
} from '../../src/routing/rbac.js';
import { registry } from '../../src/proto/registry.js';
import { rbac, route, xdsMatcher } from '../../src/proto/xds.js';
import type { SocketEnd } from '../../src/service/connection.js';
import type { DynamicMetadata } from '../../src/service/context.js';
import { HeaderMap } from '../../src/service/headers.js';
import type { Request } from '../../src/service/service.js';
import { compileHeaderMatcher } from '../../src/routing/match.js';
import { makeRequest } from '../unit/filters/support.js';
import { hasVectors, readCases } from './envoy-config.js';

interface Address {
  readonly ip: string;
  readonly port: number;
}
interface RbacCase {
  readonly name: string;
  readonly line: number;
  readonly kind: string;
  readonly config: JsonValue;
  readonly expect: boolean;
  readonly context: {
    readonly request_headers?: Readonly<Record<string, string | readonly string[]>>;
    readonly local_address?: Address;
    readonly direct_remote_address?: Address;
    readonly remote_address?: Address;
    readonly requested_server_name?: string;
    readonly peer_certificate?: {
      readonly uri_sans?: readonly string[];
      readonly dns_sans?: readonly string[];
      readonly subject?: string;
    };
    readonly dynamic_metadata?: { readonly filter_metadata?: Readonly<Record<string, Record<string, unknown>>> };
    readonly filter_state?: Readonly<Record<string, unknown>>;
  };
}

const endOf = (address: Address | undefined): SocketEnd | undefined =>
  address && { address: address.ip, port: address.port };

function requestOf({ context }: RbacCase): Request {
  const entries = Object.entries(context.request_headers ?? {});
  const path = entries.find(([name]) => name === ':path')?.[1];
  const request = makeRequest({
    path: typeof path === 'string' ? path : '',
    headers: HeaderMap.from(entries.filter(([name]) => !name.startsWith(':'))),
  });
  const { peer_certificate: peer, requested_server_name: serverName } = context;
  request.context.connection = {
    id: 1,
    local: endOf(context.local_address),
    directRemote: endOf(context.direct_remote_address),
    remote: endOf(context.remote_address),
    tls:
      peer === undefined && serverName === undefined
        ? undefined
        : {
            serverName,
            version: '',
            cipher: '',
            sessionId: undefined,
            alpn: undefined,
            peer: peer && {
              uriSans: peer.uri_sans ?? [],
              dnsSans: peer.dns_sans ?? [],
              subject: peer.subject ?? '',
              issuer: '',
              serial: '',
              sha256: '',
              notBeforeMs: 0,
              notAfterMs: 0,
              pem: '',
            },
            peerVerified: true,
            localUriSan: undefined,
          },
  };
  request.context.dynamicMetadata = new Map(
    Object.entries(context.dynamic_metadata?.filter_metadata ?? {}),
  ) as DynamicMetadata;
  request.context.filterState = new Map(Object.entries(context.filter_state ?? {}));
  return request;
}

const path = rootPath('LDS l');

/** How a case is decided; undefined for what is refused here: CEL, matcher extensions. */
function decide({ kind, config }: RbacCase): ((request: Request) => boolean) | undefined {
  switch (kind) {
    case 'permission':
      return compilePermission(decodePermission(fromJson(rbac.PermissionSchema, config), path));
    case 'principal':
      return compilePrincipal(decodePrincipal(fromJson(rbac.PrincipalSchema, config), path));
    case 'principal_list_or':
      return compilePrincipal(
        decodePrincipal(fromJson(rbac.PrincipalSchema, { or_ids: { ids: config } }), path),
      );
    case 'header':
      return compileHeaderMatcher(decodeHeaderMatcher(fromJson(route.HeaderMatcherSchema, config), path));
    case 'policy':
      return compilePolicy(decodePolicy('p', fromJson(rbac.PolicySchema, config), path));
    case 'engine_rules': {
      const decideBy = compileRbac(decodeRules(fromJson(rbac.RBACSchema, config), path));
      return (request) => decideBy(request).allowed;
    }
    case 'engine_matcher': {
      const json = fromJson(xdsMatcher.MatcherSchema, config, { registry: registry() });
      const decideBy = compileRbacTree(decodeMatchTree(json, path, RBAC_TREE));
      return (request) => decideBy(request).allowed;
    }
    default:
      return undefined;
  }
}

const isRefused = ({ kind, config }: RbacCase) =>
  /^(principal_mtls_authenticated|ip:)/.test(kind) ||
  (kind !== 'engine_matcher' &&
    /"(condition|checked_condition|matcher|sourced_metadata)":/.test(JSON.stringify(config)));

const cases = readCases<RbacCase>('vectors/rbac.json').filter((one) => !isRefused(one));

describe.runIf(hasVectors)('RBAC, as Envoy tests it', () => {
  test.each(cases)('$name, line $line', (one) => {
    expect(decide(one)?.(requestOf(one))).toBe(one.expect);
  });
});
