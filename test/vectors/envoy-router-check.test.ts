import { readdirSync } from 'node:fs';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { expect } from 'vitest';
import { decodeHeaderMatcher } from '../../src/codec/matcher.js';
import { rootPath } from '../../src/codec/path.js';
import { route as routes } from '../../src/proto/xds.js';
import { compileHeaderMatcher } from '../../src/routing/match.js';
import { compileRoutes } from '../../src/routing/router.js';
import { HeaderMap } from '../../src/service/headers.js';
import { decodeTable, requestOf, sendThrough } from './envoy-tables.js';
import { hasVectors, vectorFolder, vectorJson, vectorSuite, vectorText } from './score.js';

interface Header {
  readonly key: string;
  readonly value: string;
}

interface Check {
  readonly test_name: string;
  readonly input: {
    readonly authority: string;
    readonly path: string;
    readonly method: string;
    readonly ssl?: boolean;
    readonly internal?: boolean;
    readonly random_value?: number;
    readonly additional_request_headers?: readonly Header[];
    readonly additional_response_headers?: readonly Header[];
  };
  readonly validate: {
    readonly cluster_name?: string;
    readonly virtual_host_name?: string;
    readonly virtual_cluster_name?: string;
    readonly host_rewrite?: string;
    readonly path_rewrite?: string;
    readonly path_redirect?: string;
    readonly code_redirect?: number;
    readonly timeout?: string;
    readonly request_header_matches?: readonly JsonValue[];
    readonly response_header_matches?: readonly JsonValue[];
  };
}

const FOLDER = 'envoy/router_check/';
const ENDING = '.golden.proto.json';
const CONNECTION = {
  id: 1,
  directRemote: undefined,
  remote: { address: '127.0.0.1', port: 1 },
  local: undefined,
  tls: undefined,
};

/** Whether matchers of headers hold for a message. */
function expectHeaders(matchers: readonly JsonValue[] = [], head: Parameters<ReturnType<typeof compileHeaderMatcher>>[0]) {
  for (const json of matchers) {
    const model = decodeHeaderMatcher(fromJson(routes.HeaderMatcherSchema, json), rootPath('vector'));
    expect(compileHeaderMatcher(model)(head), JSON.stringify(json)).toBe(true);
  }
}

const asHead = (headers: HeaderMap) => ({ method: '', scheme: '', authority: '', path: '', headers });

/** Envoy's tool reads repeated lines as one. */
function joined(headers: HeaderMap): HeaderMap {
  const names = new Set([...headers].map(([name]) => name));
  return HeaderMap.from([...names].map((name) => [name, headers.getAll(name).join(',')] as const));
}

const names = hasVectors ? readdirSync(new URL(FOLDER, vectorFolder)).filter((name) => name.endsWith(ENDING)) : [];

for (const name of names) {
  const file = `${FOLDER}${name}`;
  const yaml = vectorText(file.replace(ENDING, '.yaml'));
  vectorSuite({
    file,
    cases: (vectorJson(file) as { tests: readonly Check[] }).tests,
    title: ({ test_name }) => test_name,
    run: async ({ input, validate }) => {
      const table = decodeTable(yaml);
      const scheme = input.ssl === true ? 'https' : 'http';
      const more = input.additional_request_headers?.map(({ key, value }) => [key, value] as const) ?? [];
      const internal = input.internal === true ? [['x-envoy-internal', 'true'] as const] : [];
      const request = requestOf(
        [
          [':authority', input.authority],
          [':path', input.path],
          [':method', input.method],
          [':scheme', scheme],
          ['x-forwarded-proto', scheme],
          ...internal,
          ...more,
        ],
        input.random_value ?? 0,
      );
      request.context.connection = CONNECTION;
      const matched = compileRoutes(table).select(request, request.context.random);
      const responseHeaders = input.additional_response_headers ?? [];
      const { request: sent, response } = await sendThrough(
        table,
        request,
        [],
        Object.fromEntries(responseHeaders.map(({ key, value }) => [key, value])),
      );
      const { context } = request;
      const kind = matched?.route.action.kind;
      const isForwarded = response.local === undefined;
      if (validate.cluster_name !== undefined) {
        expect(context.clusterName ?? '').toBe(validate.cluster_name);
      }
      if (validate.virtual_host_name !== undefined) {
        expect(isForwarded ? context.virtualHostName : '').toBe(validate.virtual_host_name);
      }
      if (validate.virtual_cluster_name !== undefined) {
        expect(isForwarded ? context.virtualClusterName : '').toBe(validate.virtual_cluster_name);
      }
      if (validate.host_rewrite !== undefined) {
        expect(isForwarded ? sent.authority : '').toBe(validate.host_rewrite);
      }
      if (validate.path_rewrite !== undefined) expect(isForwarded ? sent.path : '').toBe(validate.path_rewrite);
      // Envoy works out a location for direct responses, too, and does not send it.
      if (validate.path_redirect !== undefined && kind !== 'direct-response') {
        expect(response.headers.get('location') ?? '').toBe(validate.path_redirect);
      }
      if (validate.code_redirect !== undefined) {
        expect(response.status).toBe(validate.code_redirect);
      }
      if (validate.timeout !== undefined) {
        const timeoutMs = matched?.route.action.kind === 'forward' ? matched.route.action.timeoutMs : undefined;
        expect(timeoutMs).toBe(Number.parseFloat(validate.timeout) * 1000);
      }
      expectHeaders(validate.request_header_matches, sent);
      expectHeaders(validate.response_header_matches, asHead(joined(response.headers)));
    },
  });
}
