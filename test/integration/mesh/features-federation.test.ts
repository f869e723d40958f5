import { request } from 'node:https';
import { afterEach, expect, test } from 'vitest';
import type { ControlPlane } from '../../../src/control-plane.js';
import { parseSpiffeBundle } from '../../../src/identity/spiffe-bundle.js';
import { service, World } from './features-world.js';
import { eventually } from './support.js';

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

async function start(...args: Parameters<typeof World.start>): Promise<World> {
  const world = await World.start(...args);
  worlds.push(world);
  return world;
}

interface Got {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

function get(plane: ControlPlane, path: string, method = 'GET'): Promise<Got> {
  const [host = '', port = ''] = (plane.addresses.bundles ?? '').split(':');
  return new Promise((resolve, reject) => {
    const ca = plane.certificateAuthority.bundle().authorities.join('');
    // A SPIFFE certificate has no DNS name.
    const call = request(
      { host, port, path, method, ca, checkServerIdentity: () => undefined },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body }),
        );
      },
    );
    call.on('error', reject).end();
  });
}

test('workloads of two trust domains with a control plane each talk over mTLS as soon as each has the bundle of the other', async () => {
  const shop = await start(service('echo'), { trustDomain: 'shop.test', bundleEndpoint: { port: 0 } });
  const listeners = new Set<() => void>();
  let bundle: ReturnType<typeof parseSpiffeBundle> | undefined;
  let isClosed = false;
  const bank = await start('', {
    trustDomain: 'bank.test',
    federation: [
      {
        trustDomain: 'shop.test',
        bundle: () => bundle,
        onUpdate(listener) {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
        close() {
          isClosed = true;
        },
      },
    ],
  });
  expect(bank.plane.certificateAuthority.status().federated).toEqual([]);
  const document = await get(shop.plane, '/');
  expect(document).toMatchObject({ status: 200, type: 'application/json' });
  bundle = parseSpiffeBundle('shop.test', document.body);
  expect(bundle.refreshHintMs).toBe(300_000);
  expect(bundle.sequence).toBe(1n);
  for (const listener of listeners) listener();
  expect(bank.plane.certificateAuthority.status().federated).toEqual(['shop.test']);

  // A member of the bank hears of it without a new certificate.
  const client = await bank.join({ serviceAccount: 'teller' });
  await eventually('the member trusts the other trust domain', () =>
    bank.plane
      .status()
      .clients.some(({ types }) => types.some(({ type, state }) => type === 'SDS' && state === 'SYNCED')),
  );
  expect(client).toBeDefined();
  await worlds.pop()?.close();
  expect(isClosed).toBe(true);
});

test('the bundle endpoint has the revocation list, and nothing else', async () => {
  const { plane } = await start('', { bundleEndpoint: { port: 0 } });
  expect((await get(plane, '/crl.pem')).body).toMatch(/^-----BEGIN X509 CRL/);
  expect(await get(plane, '/crl.der')).toMatchObject({ status: 200, type: 'application/pkix-crl' });
  expect((await get(plane, '/api/ca')).status).toBe(404);
  expect((await get(plane, '/', 'POST')).status).toBe(405);
  await plane.certificateAuthority.rotation.begin({ waits: true });
  const { body } = await get(plane, '/');
  expect(parseSpiffeBundle('cluster.local', body).x509.authorities).toHaveLength(2);
});
