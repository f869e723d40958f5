import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  canary,
  type Destination,
  defineMesh,
  destinationRule,
  document,
  type fields,
  gateway,
  httpRoute,
  retry,
  secret,
  service,
  serviceEntry,
  split,
  virtualService,
} from '../../../src/config.js';

// What does not compile is marked with @ts-expect-error: the type check of the repository fails where it does compile.

const reviews = destinationRule('reviews', {
  subsets: { v1: { labels: { version: 'v1' } }, v2: { labels: { version: 'v2' } } },
});

describe('the compiler knows', () => {
  test('the subsets of a DestinationRule, given by name', () => {
    expectTypeOf(reviews.subset('v1')).toEqualTypeOf<Destination<string, 'v1'>>();
    expect(reviews.subset('v1')).toEqual({ host: 'reviews', subset: 'v1' });
    expect(reviews.subset('v2', 9080)).toEqual({ host: 'reviews', subset: 'v2', port: { number: 9080 } });
    expectTypeOf(reviews.subsetNames).toEqualTypeOf<readonly ('v1' | 'v2')[]>();
    // @ts-expect-error There is no such subset.
    expect(() => reviews.subset('v9')).toThrow('there is no subset "v9" (DestinationRule reviews)');
  });

  test('the subsets of a DestinationRule, given as a list', () => {
    const rule = destinationRule('ratings', {
      host: 'ratings.shop.svc.cluster.local',
      subsets: [{ name: 'old', labels: { version: 'v1' } }, { name: 'new' }],
    });
    expectTypeOf(rule.host).toEqualTypeOf<'ratings.shop.svc.cluster.local'>();
    expect(rule.subset('old')).toEqual({ host: 'ratings.shop.svc.cluster.local', subset: 'old' });
    // @ts-expect-error There is no such subset.
    expect(() => rule.subset('older')).toThrow('there is no subset "older"');
  });

  test('that a DestinationRule has no subsets', () => {
    const rule = destinationRule('details', { trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } });
    expect(rule.to()).toEqual({ host: 'details' });
    // @ts-expect-error There is none at all.
    expect(() => rule.subset('v1')).toThrow('there is no subset');
  });

  test('the subsets that shares and a canary name', () => {
    expect(split(reviews, { v1: 90, v2: 10 })).toEqual([
      { destination: { host: 'reviews', subset: 'v1' }, weight: 90 },
      { destination: { host: 'reviews', subset: 'v2' }, weight: 10 },
    ]);
    // @ts-expect-error There is no such subset.
    expect(() => split(reviews, { v1: 90, v3: 10 })).toThrow('there is no subset "v3"');
    // @ts-expect-error There is no such subset.
    expect(() => canary(reviews, { stable: 'v1', canary: 'v3', percent: 5 })).toThrow('no subset "v3"');
  });

  test('the ports of a Service', () => {
    const shop = service(
      { name: 'shop', namespace: 'web' },
      {
        ports: [
          { name: 'http', port: 80 },
          { name: 'grpc', port: 9090 },
        ],
      },
    );
    expect(shop.to()).toEqual({ host: 'shop.web.svc.cluster.local' });
    expect(shop.to('grpc')).toEqual({ host: 'shop.web.svc.cluster.local', port: { number: 9090 } });
    expect(shop.backend('http', 3)).toEqual({ name: 'shop', namespace: 'web', port: 80, weight: 3 });
    // @ts-expect-error There is no such port.
    expect(() => shop.to('https')).toThrow('there is no port "https" (Service shop)');
    httpRoute('shop', { rules: [{ backendRefs: [shop.backend('http')] }] });
  });

  test('the hosts and ports of a ServiceEntry', () => {
    const pay = serviceEntry('pay', {
      hosts: ['api.pay.example', 'eu.pay.example'],
      ports: [{ name: 'https', number: 443, protocol: 'TLS' }],
      resolution: 'DNS',
    });
    expect(pay.to('eu.pay.example', 'https')).toEqual({ host: 'eu.pay.example', port: { number: 443 } });
    // @ts-expect-error It has no such host.
    expect(() => pay.to('us.pay.example')).toThrow('there is no host "us.pay.example" (ServiceEntry pay)');
    // @ts-expect-error It has no such port.
    expect(() => pay.to('api.pay.example', 'http')).toThrow('there is no port "http"');
  });

  test('what a gateway is called', () => {
    expect(gateway('edge', {}).ref).toBe('edge');
    expect(gateway({ name: 'edge', namespace: 'infra' }, {}).ref).toBe('infra/edge');
  });
});

describe('the compiler refuses', () => {
  test('fields that the kind does not have, wherever they stand', () => {
    // @ts-expect-error hosts
    virtualService('a', { host: ['a'] });
    // @ts-expect-error timeout
    virtualService('a', { hosts: ['a'], http: [{ timeOut: '1s' }] });
    // @ts-expect-error perTryTimeout
    virtualService('a', { hosts: ['a'], http: [{ retries: { attempts: 2, perTryTimeot: '1s' } }] });
    // @ts-expect-error labels
    destinationRule('a', { subsets: { v1: { label: { version: 'v1' } } } });
    // @ts-expect-error trafficPolicy
    destinationRule('a', { trafficPolcy: {} });
    // @ts-expect-error attempts come first
    expect(retry(3, { attempts: 2 })).toEqual({ attempts: 2 });
  });

  test('values of another type, words that are none, and durations that are none', () => {
    // @ts-expect-error a list
    virtualService('a', { hosts: 'a' });
    // @ts-expect-error a duration has a unit
    virtualService('a', { hosts: ['a'], http: [{ timeout: '1' }] });
    // @ts-expect-error a duration is a text
    virtualService('a', { hosts: ['a'], http: [{ timeout: 1000 }] });
    // @ts-expect-error there is no such algorithm
    destinationRule('a', { trafficPolicy: { loadBalancer: { simple: 'ROUND' } } });
    // @ts-expect-error a destination needs a host
    virtualService('a', { hosts: ['a'], http: [{ route: [{ destination: { subset: 'v1' } }] }] });
    // @ts-expect-error no such kind
    expect(() => document('VirtualServices', 'a', {})).toThrow('unknown kind "VirtualServices"');
  });

  test('documents in a mesh whose kind and content do not go together', () => {
    defineMesh({
      documents: [
        { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'a' }, spec: {} },
        { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, stringData: { token: 'b' } },
        {
          apiVersion: 'gateway.networking.k8s.io/v1',
          kind: 'Gateway',
          metadata: { name: 'b' },
          // @ts-expect-error That of the Gateway API has listeners.
          spec: { servers: [] },
        },
        // @ts-expect-error No such version.
        { apiVersion: 'networking.istio.io/v2', kind: 'VirtualService', metadata: { name: 'c' }, spec: {} },
      ],
    });
    expect(secret('a', { type: 'kubernetes.io/tls', data: {} })).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'a' },
      type: 'kubernetes.io/tls',
      data: {},
    });
  });

  test('nothing of what is right: durations in every form, and variables of the types', () => {
    const policy: fields.DestinationRuleSpecTrafficPolicy = {
      connectionPool: {
        tcp: { connectTimeout: '250ms', maxConnectionDuration: '1h30m', idleTimeout: '1.5s' },
      },
    };
    const waits = 3;
    const match: fields.VirtualServiceSpecHttpMatch = { uri: { prefix: '/' }, port: 80 };
    const made = virtualService('a', { hosts: ['a'], http: [{ match: [match], timeout: `${waits}s` }] });
    expect(made.spec.http?.[0]?.timeout).toBe('3s');
    expect(destinationRule('a', { trafficPolicy: policy }).spec.trafficPolicy).toEqual(policy);
  });
});
