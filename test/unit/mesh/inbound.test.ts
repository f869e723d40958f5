import { describe, expect, test } from 'vitest';
import { inboundPolicy } from '../../../src/mesh/inbound.js';
import { NO_OVERRIDES } from '../../../src/model/filter-config.js';
import type { FilterChain, HttpConnectionManager, InboundListener } from '../../../src/model/listener.js';
import { Abort } from '../../../src/runtime/abort.js';
import { EMPTY_BODY } from '../../../src/service/body.js';
import { Completion } from '../../../src/service/completion.js';
import { createExchange } from '../../../src/service/context.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Filter, Request, Response } from '../../../src/service/service.js';

const http: HttpConnectionManager = {
  routes: {
    kind: 'inline',
    config: {
      name: 'inbound',
      virtualHosts: [
        {
          name: 'inbound',
          domains: ['*'],
          routes: [
            {
              name: '',
              match: {
                path: { kind: 'prefix', value: '/', caseSensitive: true },
                headers: [],
                queryParameters: [],
                runtimeFraction: undefined,
                grpcOnly: false,
              },
              action: { kind: 'non-forwarding' },
              filterOverrides: NO_OVERRIDES,
            },
          ],
          retryPolicy: undefined,
          filterOverrides: NO_OVERRIDES,
          includeRequestAttemptCount: false,
        },
      ],
    },
  },
  filters: [],
};
const TLS = { requireClientCertificate: true, alpn: [] };

function chain(name: string, transportProtocol: FilterChain['transportProtocol'], tls = false): FilterChain {
  return { name, transportProtocol, tls: tls ? TLS : undefined, http };
}

function listener(...filterChains: FilterChain[]): InboundListener {
  return { kind: 'inbound', name: 'inbound', address: undefined, filterChains };
}

function policy(...filterChains: FilterChain[]) {
  return inboundPolicy(listener(...filterChains), { buildFilters: () => [] });
}

function inboundRequest(): Request {
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'reviews',
    path: '/',
    headers: HeaderMap.empty(),
    body: EMPTY_BODY,
    abort: new Abort(),
    context: createExchange('inbound', 0, 0),
  };
}

describe('the inbound policy of a listener', () => {
  test('is strict when there is a TLS chain only', () => {
    const result = policy(chain('mtls', 'tls', true));
    expect(result.mode).toBe('strict');
    expect(result.tls?.name).toBe('mtls');
    expect(result.plaintext).toBeUndefined();
  });

  test('is permissive when there are chains for both', () => {
    const result = policy(chain('mtls', 'tls', true), chain('plain', 'raw_buffer'));
    expect([result.mode, result.tls?.name, result.plaintext?.name]).toEqual(['permissive', 'mtls', 'plain']);
  });

  test('is disable when there is a plaintext chain only', () => {
    expect(policy(chain('plain', 'raw_buffer')).mode).toBe('disable');
  });

  test('reads a chain without a transport protocol by whether it has TLS', () => {
    expect(policy(chain('any', '', true)).mode).toBe('strict');
    expect(policy(chain('any', '')).mode).toBe('disable');
  });

  test('prefers the chain that names the transport protocol, wherever it stands', () => {
    const result = policy(chain('any', ''), chain('exact', 'raw_buffer'));
    expect(result.plaintext?.name).toBe('exact');
  });

  test('never falls back from an unusable exact chain to the open one', () => {
    const result = policy(chain('broken', 'tls'), chain('any', '', true));
    expect(result.tls).toBeUndefined();
  });

  test('is closed when no chain is usable', () => {
    expect(policy().mode).toBe('closed');
    expect(policy(chain('tls without a context', 'tls')).mode).toBe('closed');
    expect(policy(chain('plaintext with a context', 'raw_buffer', true)).mode).toBe('closed');
  });

  test('is closed without a listener, so that nothing is served before its rules are known', () => {
    const result = inboundPolicy(undefined, { buildFilters: () => [] });
    expect(result).toEqual({ mode: 'closed', tls: undefined, plaintext: undefined });
  });

  test('is what the owner asks for without a listener', () => {
    const at = (unconfigured: 'strict' | 'permissive' | 'disable') => {
      const result = inboundPolicy(undefined, { buildFilters: () => [], unconfigured });
      return [result.mode, result.tls !== undefined, result.plaintext !== undefined];
    };
    expect(at('strict')).toEqual(['strict', true, false]);
    expect(at('permissive')).toEqual(['permissive', true, true]);
    expect(at('disable')).toEqual(['disable', false, true]);
  });
});

describe('the inbound stack', () => {
  test('has no service when there are no filters', () => {
    expect(policy(chain('plain', 'raw_buffer')).plaintext?.service).toBeUndefined();
  });

  test('runs the filters in order around the application', async () => {
    const seen: string[] = [];
    const filter =
      (name: string): Filter =>
      (request, next) => {
        seen.push(name);
        return next(request);
      };
    const result = inboundPolicy(listener(chain('plain', 'raw_buffer')), {
      buildFilters: () => [filter('first'), filter('second')],
    });
    const request = inboundRequest();
    const answer: Response = {
      status: 204,
      statusText: '',
      headers: HeaderMap.empty(),
      body: EMPTY_BODY,
      completion: Completion.done,
    };
    request.context.callerOptions = {
      handle: () => {
        seen.push('application');
        return Promise.resolve(answer);
      },
    };
    expect(await result.plaintext?.service?.(request)).toBe(answer);
    expect(seen).toEqual(['first', 'second', 'application']);
  });

  test('rejects a request that names no application', async () => {
    const pass: Filter = (request, next) => next(request);
    const result = inboundPolicy(listener(chain('plain', 'raw_buffer')), { buildFilters: () => [pass] });
    await expect(result.plaintext?.service?.(inboundRequest())).rejects.toThrow('INMESH_OPTION_INVALID');
  });
});
