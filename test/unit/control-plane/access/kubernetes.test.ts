import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kubernetesAuthenticator } from '../../../../src/control-plane/access/kubernetes.js';
import type { WebRequest } from '../../../../src/identity/web-fetch.js';
import { testIssuer } from './tokens.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inmesh-k8s-'));
  await writeFile(join(folder, 'token'), 'own-token\n');
  await writeFile(join(folder, 'ca.crt'), 'the roots');
});
afterAll(() => rm(folder, { recursive: true }));

const good = {
  authenticated: true,
  user: { username: 'system:serviceaccount:shop:cart' },
  audiences: ['istio-ca'],
};

/** Asks an API server that gives this status. */
async function ask(status: unknown, token?: string, httpStatus = 201) {
  const asked: WebRequest[] = [];
  const authenticate = kubernetesAuthenticator(
    { tokenFile: join(folder, 'token'), caFile: join(folder, 'ca.crt') },
    {
      env: { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' },
      trustDomain: 'd.test',
      fetch: (request) => {
        asked.push(request);
        return Promise.resolve({ status: httpStatus, text: JSON.stringify({ status }), maxAgeMs: undefined });
      },
    },
  );
  const bearer = token ?? (await testIssuer('https://cluster.test').sign({ sub: 'x' }));
  const identity = await authenticate({ peerAddress: '10.0.0.1:1', metadata: () => `Bearer ${bearer}` });
  return { id: identity?.id.toString(), asked, bearer };
}

describe('service-account tokens', () => {
  test('are reviewed by the API server, with the token of this process', async () => {
    const { id, asked, bearer } = await ask(good);
    expect(id).toBe('spiffe://d.test/ns/shop/sa/cart');
    expect(asked).toMatchObject([
      {
        url: 'https://[fd00::1]:6443/apis/authentication.k8s.io/v1/tokenreviews',
        method: 'POST',
        ca: 'the roots',
        headers: { authorization: 'Bearer own-token' },
      },
    ]);
    expect(JSON.parse(asked[0]?.body ?? '')).toMatchObject({
      spec: { token: bearer, audiences: ['istio-ca'] },
    });
  });

  test.each([
    ['that the server does not know', { ...good, authenticated: false }],
    ['whose review failed', { error: 'no' }],
    ['without a verdict', { ...good, authenticated: 'true' }],
    ['for another audience', { ...good, audiences: ['api'] }],
    ['whose audience the server does not confirm', { ...good, audiences: undefined }],
    ['of a user', { ...good, user: { username: 'admin' } }],
    ['of a name that would be another', { ...good, user: { username: 'system:serviceaccount:a/b:c' } }],
    ['of a name with more parts', { ...good, user: { username: 'system:serviceaccount:a:b:c' } }],
    ['without a status', undefined],
  ])('%s are refused', async (_, status) => {
    await expect(ask(status)).rejects.toThrow();
  });

  test('are refused when the server fails', async () => {
    await expect(ask(good, undefined, 500)).rejects.toThrow();
  });

  test('what is no JWT is not sent on', async () => {
    const { id, asked } = await ask(good, 'inmesh-join-x');
    expect(id).toBeUndefined();
    expect(asked).toEqual([]);
  });
});
