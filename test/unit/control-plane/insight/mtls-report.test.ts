import { expect, test } from 'vitest';
import { mtlsReport } from '../../../../src/control-plane/insight/mtls-report.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import type { WorkloadInput } from '../../../../src/control-plane/registry/workload.js';
import type { PlaintextCaller } from '../../../../src/model/node.js';
import { networking, nodeOf, registryOf, service, viewOf } from '../compile/mesh.js';

const workload = (name: string, change: Partial<WorkloadInput> = {}): WorkloadInput => ({
  service: name,
  address: '10.0.0.1',
  port: 4001,
  tlsMode: 'istio',
  ...change,
});

const caller = (change: Partial<PlaintextCaller> = {}): PlaintextCaller => ({
  port: 4001,
  source: '10.0.0.9',
  workload: '',
  connections: 3,
  refused: 0,
  lastAtMs: 1,
  ...change,
});

function report(
  text: string,
  workloads: readonly WorkloadInput[],
  callers: readonly PlaintextCaller[] = [],
  namespace?: string,
) {
  // The first workload's owner is `node-0`.
  const nodes = [{ ...nodeOf({ INMESH_PLAINTEXT: callers }), id: 'node-0' }];
  const view = viewOf(text);
  return mtlsReport({ view, config: DEFAULT_MESH_CONFIG, registry: registryOf(workloads), nodes, namespace });
}

test('a mesh without plaintext has no obstacles', () => {
  const { workloads, obstacles } = report('', [workload('reviews')]);
  expect(obstacles).toBe(0);
  expect(workloads).toMatchObject([
    {
      service: 'reviews',
      identity: 'spiffe://cluster.local/ns/default/sa/default',
      mode: 'PERMISSIVE',
      policies: [],
      rules: [],
      plaintext: [],
      isReadyForStrict: true,
    },
  ]);
});

test('callers without TLS are named by their address, what they say, and who is registered there', () => {
  const callers = [caller(), caller({ source: '127.0.0.1', workload: 'cron.jobs' }), caller({ port: 9 })];
  const others = [
    workload('web', { address: '10.0.0.9' }),
    workload('api', { address: '10.0.0.9', port: 2 }),
  ];
  const { workloads, obstacles } = report('', [workload('reviews'), ...others], callers);
  const reviews = workloads.find((one) => one.service === 'reviews');
  expect(reviews?.plaintext.map(({ candidates, workload: said }) => [candidates, said])).toEqual([
    [['api.default', 'web.default'], ''],
    [[], 'cron.jobs'],
  ]);
  expect(reviews?.isReadyForStrict).toBe(false);
  expect(obstacles).toBe(1);
});

test('what is refused already is no obstacle, and the rules say why it is', () => {
  const strict = networking('PeerAuthentication', 'default', 'mtls: { mode: STRICT }');
  const { workloads, obstacles } = report(
    strict,
    [workload('reviews')],
    [caller({ connections: 0, refused: 5 })],
  );
  expect(workloads[0]).toMatchObject({ mode: 'STRICT', policies: ['default/default'] });
  expect(workloads[0]?.plaintext[0]?.isRefused).toBe(true);
  expect(workloads[0]?.rules[0]?.name).toBe('istio_converted_static_strict');
  expect(obstacles).toBe(0);
});

test('workloads without an identity, and rules that take TLS away, are obstacles', () => {
  const text =
    service('reviews') +
    networking('DestinationRule', 'off', 'host: reviews\ntrafficPolicy: { tls: { mode: DISABLE } }') +
    networking('DestinationRule', 'on', 'host: reviews\ntrafficPolicy: { tls: { mode: ISTIO_MUTUAL } }') +
    networking('DestinationRule', 'outside', 'host: www.example\ntrafficPolicy: { tls: { mode: SIMPLE } }');
  const found = report(text, [workload('legacy', { tlsMode: 'disabled' })]);
  expect(found.withoutIdentity).toEqual(['legacy.default']);
  expect(found.plaintextRules).toEqual([
    { rule: 'default/off', host: 'reviews', services: ['reviews.default.svc.cluster.local'] },
  ]);
  expect(found.workloads[0]?.identity).toBeUndefined();
});

test('one namespace may be asked for', () => {
  const both = [workload('a'), workload('b', { namespace: 'other' })];
  expect(report('', both, [], 'other').workloads.map((one) => one.service)).toEqual(['b']);
});
