import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { attachTcp } from '../../../src/bindings/tcp/server.js';
import { LISTENER } from '../../../src/codec/resource-types.js';
import { createFilterMemory } from '../../../src/filters/filter-memory.js';
import { staticSource } from '../../../src/identity/source.js';
import { tcpInboundPolicyOf } from '../../../src/mesh/tcp/inbound.js';
import type { InboundListener } from '../../../src/model/listener.js';
import type { NetworkExtAuthz, NetworkGuard } from '../../../src/model/network-guard.js';
import type { NetworkRbac } from '../../../src/model/network-rbac.js';
import type { RbacPrincipal, RbacRules } from '../../../src/model/rbac.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createSignal } from '../../../src/runtime/signal.js';
import type { Service } from '../../../src/service/service.js';
import { FakeGrpcAuthz } from '../../unit/filters/fake-authz.js';
import { outcomeOf } from './support.js';

const rulesFor = (action: RbacRules['action'], principal: RbacPrincipal): RbacRules => ({
  action,
  policies: [{ name: 'the policy', permissions: [{ kind: 'any' }], principals: [principal] }],
});

const from = (address: string, bits: number): RbacPrincipal => ({
  kind: 'ip',
  of: 'direct',
  range: { address, bits },
});

function listenerWith(guards: readonly NetworkGuard[]): InboundListener {
  return {
    kind: 'inbound',
    name: 'in',
    address: undefined,
    filterChains: [
      {
        name: 'in',
        transportProtocol: 'raw_buffer',
        tls: undefined,
        guards,
        tcp: {
          cluster: 'inbound',
          idleTimeoutMs: 0,
          maxDurationMs: undefined,
          maxDurationJitterPercent: undefined,
          accessLogs: undefined,
        },
      },
    ],
  };
}

const guard = (rules: RbacRules | undefined, shadowRules?: RbacRules): NetworkRbac => ({
  statPrefix: 'tcp.',
  rules,
  shadowRules,
  shadowRulesStatPrefix: 'dry_',
});

/** A server that greets whoever is let in. */
async function serve(guards: readonly NetworkGuard[], authz?: Service) {
  const filterMemory = createFilterMemory();
  const random = seededRandom(1);
  let greeted = 0;
  const server = createServer((socket) => {
    greeted++;
    socket.end('welcome');
    socket.resume();
  });
  const tools = {
    random,
    filterMemory,
    connectionLog: () => undefined,
    clock: systemClock,
    upstream: (name: string) => (name === 'authz' ? authz : undefined),
  };
  attachTcp(server, {
    policy: createSignal(tcpInboundPolicyOf(listenerWith(guards), tools)),
    identity: staticSource(undefined, []),
    clock: systemClock,
    random,
    logger: silentLogger,
    observer: {},
  });
  server.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  // A listening TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  const knock = () => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.write('hi');
    return outcomeOf(socket);
  };
  const counters = () =>
    Object.fromEntries([...filterMemory.counters].map(([name, { value }]) => [name, value]));
  return { knock, counters, greeted: () => greeted };
}

test('rules decide who may connect, before the application hears of it', async () => {
  const open = await serve([guard(rulesFor('allow', from('127.0.0.0', 8)))]);
  expect(await open.knock()).toBe('welcome');
  const closed = await serve([guard(rulesFor('deny', from('127.0.0.0', 8)))]);
  expect(await closed.knock()).not.toBe('welcome');
  expect(closed.greeted()).toBe(0);
  expect(closed.counters()).toMatchObject({ 'tcp.rbac.denied': 1, 'tcp.rbac.allowed': 0 });
  const elsewhere = await serve([guard(rulesFor('allow', from('10.0.0.0', 8)))]);
  expect(await elsewhere.knock()).not.toBe('welcome');
});

test('every one of several has to let a connection in; shadow rules only count', async () => {
  const local = from('127.0.0.0', 8);
  const { knock, counters, greeted } = await serve([
    guard(rulesFor('allow', local), rulesFor('deny', local)),
    guard(rulesFor('allow', { kind: 'authenticated', name: undefined })),
  ]);
  expect(await knock()).not.toBe('welcome');
  expect(greeted()).toBe(0);
  expect(counters()).toMatchObject({
    'tcp.rbac.allowed': 1,
    'tcp.rbac.denied': 1,
    'tcp.rbac.dry_shadow_denied': 1,
  });
});

test('they travel as network filters before the TCP proxy', () => {
  const listener = listenerWith([guard(rulesFor('allow', from('10.0.0.0', 8))), guard(undefined)]);
  expect(LISTENER.decode(LISTENER.encode(listener)).resource).toEqual(listener);
  const unnamed = listenerWith([{ ...guard(undefined), statPrefix: '' }]);
  expect(() => LISTENER.decode(LISTENER.encode(unnamed))).toThrow('stat_prefix: must not be empty');
});

const asks: NetworkExtAuthz = {
  kind: 'ext-authz',
  statPrefix: 'tcp.',
  service: {
    cluster: 'authz',
    authority: '',
    timeoutMs: 50,
    initialMetadata: [],
    maxReceiveBytes: undefined,
  },
  failureModeAllow: false,
  includePeerCertificate: false,
  includeTlsSession: true,
  enabledMetadata: undefined,
};

test('a service that is asked decides who may connect; what is sent meanwhile waits', async () => {
  const authz = new FakeGrpcAuthz();
  const { knock, counters, greeted } = await serve([asks], authz.service);
  expect(await knock()).toBe('welcome');
  expect(authz.asked[0]?.attributes?.source?.address?.address).toMatchObject({
    case: 'socketAddress',
    value: { address: '127.0.0.1' },
  });
  expect(authz.asked[0]?.attributes?.request).toBeUndefined();
  authz.answer = { status: { code: 7 }, dynamicMetadata: { why: 'stranger' } };
  expect(await knock()).not.toBe('welcome');
  expect(greeted()).toBe(1);
  expect(counters()).toMatchObject({
    'ext_authz.tcp.total': 2,
    'ext_authz.tcp.ok': 1,
    'ext_authz.tcp.denied': 1,
    'ext_authz.tcp.cx_closed': 1,
  });
});

test.each(['hang', 'unavailable', 'garbage'] as const)(
  'a service that answers by %s lets nobody in, unless told so',
  async (answer) => {
    const authz = new FakeGrpcAuthz();
    authz.answer = answer;
    const closed = await serve([asks], authz.service);
    expect(await closed.knock()).not.toBe('welcome');
    expect(closed.counters()).toMatchObject({ 'ext_authz.tcp.error': 1, 'ext_authz.tcp.cx_closed': 1 });
    const open = await serve([{ ...asks, failureModeAllow: true }], authz.service);
    expect(await open.knock()).toBe('welcome');
    expect(open.counters()).toMatchObject({
      'ext_authz.tcp.error': 1,
      'ext_authz.tcp.failure_mode_allowed': 1,
    });
  },
);

test('a service that is not there lets nobody in; what comes before it and after it decides, too', async () => {
  const local = from('127.0.0.0', 8);
  const gone = await serve([asks]);
  expect(await gone.knock()).not.toBe('welcome');
  const authz = new FakeGrpcAuthz();
  const before = await serve([guard(rulesFor('deny', local)), asks], authz.service);
  expect(await before.knock()).not.toBe('welcome');
  expect(authz.asked).toEqual([]);
  const after = await serve([asks, guard(rulesFor('deny', local))], authz.service);
  expect(await after.knock()).not.toBe('welcome');
  expect(authz.asked).toHaveLength(1);
});

test('it is asked about those that the rules before it marked', async () => {
  const enabledMetadata: NetworkExtAuthz['enabledMetadata'] = {
    namespace: 'envoy.filters.network.rbac',
    path: ['dry_shadow_effective_policy_id'],
    value: { kind: 'string', matcher: { kind: 'prefix', value: 'the', ignoreCase: false } },
    invert: false,
  };
  const authz = new FakeGrpcAuthz();
  authz.answer = { status: { code: 7 } };
  const marking = (address: string) =>
    serve(
      [guard(undefined, rulesFor('deny', from(address, 8))), { ...asks, enabledMetadata }],
      authz.service,
    );
  expect(await (await marking('10.0.0.0')).knock()).toBe('welcome');
  expect(await (await marking('127.0.0.0')).knock()).not.toBe('welcome');
  expect(authz.asked).toHaveLength(1);
});

test('it travels as a network filter', () => {
  const listener = listenerWith([guard(undefined), { ...asks, failureModeAllow: true }]);
  expect(LISTENER.decode(LISTENER.encode(listener)).resource).toEqual(listener);
  const unnamed = listenerWith([{ ...asks, statPrefix: '' }]);
  expect(() => LISTENER.decode(LISTENER.encode(unnamed))).toThrow('stat_prefix: must not be empty');
});
