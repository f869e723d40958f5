import { expect } from 'vitest';
import { mutateRequest } from '../../src/filters/request-processing.js';
import { NO_PROCESSING, type RequestProcessing } from '../../src/model/request-processing.js';
import { normalizePath } from '../../src/routing/normalize-path.js';
import { createExchange } from '../../src/service/context.js';
import { HeaderMap } from '../../src/service/headers.js';
import type { Request } from '../../src/service/service.js';
import { makeRequest } from '../unit/filters/support.js';
import { vectorJson, vectorSuite } from './score.js';

interface HcmCase {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly downstream_remote_address: string | null;
  readonly request_headers: readonly (readonly [string, string])[];
  readonly tls?: { readonly tls: boolean };
  readonly result?: {
    readonly downstream_address?: string;
    readonly internal?: boolean;
    readonly fn?: string;
    readonly normalize_action?: string;
  };
  readonly expect: readonly { header: string; value?: string; present?: boolean; unchanged?: boolean }[];
}

const OUTSIDE: readonly (readonly [field: string, reason: string])[] = [
  ['xff_trusted_cidrs', 'an extension that finds the client, which is refused'],
  ['detection_skip_xff_append', 'an extension that finds the client, which is refused'],
  ['forwardClientCert', 'certificates are the TLS layer’s'],
];

function rulesOf(config: HcmCase['config']): RequestProcessing {
  const flag = (name: string) => config[name] === true;
  const slashes = String(config['pathWithEscapedSlashesAction'] ?? 'KEEP_UNCHANGED');
  const scheme = config['scheme_to_overwrite'];
  return {
    ...NO_PROCESSING,
    normalizePath: flag('shouldNormalizePath'),
    mergeSlashes: flag('shouldMergeSlashes'),
    escapedSlashes: slashes.startsWith('REJECT')
      ? 'reject'
      : slashes.endsWith('REDIRECT')
        ? 'redirect'
        : slashes.endsWith('FORWARD')
          ? 'forward'
          : 'keep',
    useRemoteAddress: flag('useRemoteAddress'),
    skipXffAppend: flag('skipXffAppend'),
    xffNumTrustedHops: Number(config['xffNumTrustedHops'] ?? 0),
    scheme: scheme === 'http' || scheme === 'https' ? scheme : undefined,
    appendForwardedPort: flag('appendXForwardedPort'),
    generateRequestId: false,
    // The fixture's own rule: private and loopback addresses.
    internalAddresses: [
      { address: '10.0.0.0', prefixLength: 8 },
      { address: '127.0.0.0', prefixLength: 8 },
    ],
  };
}

function requestOf(one: HcmCase): Request {
  const exchange = createExchange('inbound', 0, 0);
  const remote = { address: one.downstream_remote_address ?? '10.0.0.3', port: 0 };
  const local = {
    address: String(one.config['local_address'] ?? '127.0.0.1'),
    port: Number(one.config['local_address_port'] ?? 80),
  };
  exchange.connection = { id: 1, directRemote: remote, remote, local, tls: undefined };
  return makeRequest({
    scheme: one.tls?.tls === true ? 'https' : 'http',
    path: one.request_headers.find(([name]) => name === ':path')?.[1] ?? '/',
    headers: HeaderMap.from(one.request_headers.filter(([name]) => !name.startsWith(':'))),
    context: exchange,
  });
}

const ACTIONS = { continue: 'Continue', redirect: 'Redirect', reject: 'Reject' } as const;

const FILE = 'envoy/vectors/hcm_request_mutation.json';

vectorSuite({
  file: FILE,
  cases: (vectorJson(FILE) as { cases: readonly HcmCase[] } | undefined)?.cases ?? [],
  title: ({ name }) => name,
  skip: ({ config }) => OUTSIDE.find(([name]) => name in config)?.[1],
  run(one) {
    const request = requestOf(one);
    const before = request.path;
    const rules = rulesOf(one.config);
    const action = normalizePath(request.path, rules);
    if (one.result?.normalize_action !== undefined) {
      expect(ACTIONS[action.kind]).toBe(one.result.normalize_action);
    }
    if (action.kind !== 'reject') request.path = action.path;
    const tools = { node: { id: 'node', cluster: 'cluster' }, uuid: () => 'id', internalOnlyHeaders: [] };
    const isInternal = mutateRequest(request, rules, tools);
    const { internal, downstream_address: address } = one.result ?? {};
    if (internal !== undefined) expect(isInternal).toBe(internal);
    if (address !== undefined) {
      expect(request.context.connection?.remote?.address).toBe(address.replace(/:\d+$/, ''));
    }
    const valueOf = (name: string) =>
      name === ':path' ? request.path : name === ':scheme' ? request.scheme : request.headers.get(name);
    for (const { header, value, present, unchanged } of one.expect) {
      if (present !== undefined) expect(valueOf(header) !== undefined, header).toBe(present);
      if (value !== undefined) expect(valueOf(header), header).toBe(value);
      if (unchanged === true) expect(valueOf(header)).toBe(before);
    }
  },
});
