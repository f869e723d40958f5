import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { expect } from 'vitest';
import { rootPath } from '../../src/codec/path.js';
import { decodeRules } from '../../src/codec/rbac.js';
import { compileRbac } from '../../src/routing/rbac.js';
import { rbac } from '../../src/proto/xds.js';
import { HeaderMap } from '../../src/service/headers.js';
import type { Request } from '../../src/service/service.js';
import { makeRequest } from '../unit/filters/support.js';
import { vectorJson, vectorSuite } from './score.js';

/** The tables of gRPC's RBAC engine: chains of rules, each of which may refuse. */

interface EngineCase {
  readonly name: string;
  readonly rbacConfigs: readonly JsonObject[];
  readonly queries: readonly {
    readonly rpc: {
      readonly fullMethod?: string;
      readonly md?: Readonly<Record<string, readonly string[]>>;
      readonly peerInfo: { readonly addr: { readonly ipAddress: string } };
    };
    readonly want: 'ALLOW' | 'DENY';
  }[];
}

const FILE = 'xds/rbac-engine.json';

/** Who audits is no part of the decision, and the tables have Go values there. */
function rulesOf(config: JsonObject) {
  const rules = { ...config };
  delete rules['auditLoggingOptions'];
  return decodeRules(fromJson(rbac.RBACSchema, rules), rootPath('LDS l'));
}

function requestOf({ fullMethod = '', md = {}, peerInfo }: EngineCase['queries'][number]['rpc']): Request {
  const request = makeRequest({ path: fullMethod, headers: HeaderMap.from(Object.entries(md)) });
  const [address = '', port = '0'] = peerInfo.addr.ipAddress.split(':');
  const end = { address, port: Number(port) };
  request.context.connection = { id: 1, directRemote: end, remote: end, local: undefined, tls: undefined };
  return request;
}

/** Envoy: a metadata matcher without a filter is refused; in gRPC it takes nothing. */
const isRefused = ({ name }: EngineCase) => name === 'PermissionMetadata';

vectorSuite({
  file: FILE,
  cases: (vectorJson(FILE) as { cases: readonly EngineCase[] } | undefined)?.cases ?? [],
  title: ({ name }) => name,
  run(one) {
    if (isRefused(one)) {
      for (const rules of one.rbacConfigs) expect(() => rulesOf(rules)).toThrow('metadata');
      return;
    }
    const engines = one.rbacConfigs.map((rules) => compileRbac(rulesOf(rules)));
    for (const { rpc, want } of one.queries) {
      const isAllowed = engines.every((decide) => decide(requestOf(rpc)).allowed);
      expect([rpc, isAllowed ? 'ALLOW' : 'DENY']).toEqual([rpc, want]);
    }
  },
});
