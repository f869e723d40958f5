import { expect, test } from 'vitest';
import { explainIn } from '../../../../src/control-plane/explain/explain-in.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import { policy } from '../compile/authorization/support.js';
import { registryOf, service, viewOf } from '../compile/mesh.js';

const WORKLOADS = registryOf([
  { service: 'cart', namespace: 'default', address: '10.0.0.9', port: 8080 },
  { service: 'opa', namespace: 'default', address: '10.0.0.8', port: 9191 },
]);
const FOR_CART = '{targetRefs: [{kind: Service, name: cart}], action: DENY, rules: [{}]}';
const ASKS = '{selector: {matchLabels: {app: cart}}, action: CUSTOM, provider: {name: opa}, rules: [{}]}';

test.each([
  ['that names a service which registered', policy('one', FOR_CART), 'denied'],
  [
    'that names a service without a selector',
    policy('one', FOR_CART) + service('cart', 80).replace('selector: { app: cart }', ''),
    'denied',
  ],
  ['that asks a provider which registered', policy('one', ASKS), 'asked'],
])('a policy counts %s', async (_, text, authorization) => {
  const provider = { service: 'opa.default.svc.cluster.local', port: 9191 };
  const config = {
    ...DEFAULT_MESH_CONFIG,
    extensionProviders: [{ name: 'opa', envoyExtAuthzGrpc: provider }],
  };
  const state = { view: viewOf(text), registry: WORKLOADS, config };
  const { policy: found } = await explainIn(state, { method: 'GET', url: 'http://cart/', headers: [] });
  expect(found?.server.map((one) => one.authorization)).toEqual([authorization]);
});
