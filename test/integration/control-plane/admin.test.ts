import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ControlPlane, createControlPlane, createMemorySource } from '../../../src/control-plane.js';
import { service } from '../../unit/control-plane/compile/mesh.js';

let plane: ControlPlane;

beforeAll(async () => {
  plane = await createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0 },
    sources: [createMemorySource(service('reviews'))],
  });
});

afterAll(() => plane.close());

const url = (path: string) => `http://${plane.addresses.http}${path}`;
interface Read {
  readonly documents: readonly object[];
  readonly workloads: readonly object[];
}

/** The parts of answers that tests look at. */
const get = async (path: string) => (await (await fetch(url(path))).json()) as Read;
const post = (path: string, body: unknown, method = 'POST') =>
  fetch(url(path), { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/** The status of an answer to bytes as they are. */
function raw(request: string): Promise<number> {
  const port = Number(plane.addresses.http.split(':').at(-1));
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(request.replaceAll('PORT', String(port))));
    socket.on('data', (bytes) => {
      answer += bytes.toString();
      if (!answer.includes('\r\n')) return;
      resolve(Number(answer.split(' ')[1]));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('reading', () => {
  test('the status tells ports, revision and clients', async () => {
    expect(await get('/api/status')).toMatchObject({ addresses: plane.addresses, revision: 1, clients: [] });
  });

  test('the configuration in force is shown with its places', async () => {
    const { documents } = await get('/api/config');
    expect(documents).toMatchObject([
      { kind: 'Service', metadata: { name: 'reviews' }, origin: { line: 2 } },
    ]);
  });

  test('metrics have Istio’s names', async () => {
    expect(await (await fetch(url('/metrics'))).text()).toContain('pilot_xds 0');
  });

  test('what is not there is an error in JSON', async () => {
    const response = await fetch(url('/nothing'));
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: 'INMESH_NOT_FOUND' } });
  });
});

describe('registering', () => {
  const workload = { id: 'legacy-1', service: 'reviews', address: '127.0.0.1', port: 4001 };

  test('a workload appears when posted and goes when deleted', async () => {
    expect((await post('/api/workloads', workload)).ok).toBe(true);
    expect((await get('/api/workloads')).workloads).toMatchObject([{ service: 'reviews', port: 4001 }]);
    expect((await post('/api/workloads/legacy-1', {}, 'DELETE')).ok).toBe(true);
    expect((await get('/api/workloads')).workloads).toEqual([]);
  });

  test.each([
    ['an unknown field', { ...workload, colour: 'red' }],
    ['a wrong address', { ...workload, address: 'evil.test' }],
    ['no body', undefined],
  ])('%s is refused with 400', async (_, body) => {
    expect((await post('/api/workloads', body)).status).toBe(400);
    expect(plane.status().workloads).toBe(0);
  });
});

describe('attacks', () => {
  test.each([
    [
      'a name that was rebound to this address',
      'GET /api/status HTTP/1.1\r\nHost: attacker.test:PORT\r\n\r\n',
      403,
    ],
    ['no name', 'GET /api/status HTTP/1.0\r\n\r\n', 403],
    ['a name that only begins like localhost', 'GET / HTTP/1.1\r\nHost: localhost.evil.test\r\n\r\n', 403],
    [
      'a form',
      'POST /api/workloads HTTP/1.1\r\nHost: localhost:PORT\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}',
      415,
    ],
    [
      'another origin',
      'GET /api/status HTTP/1.1\r\nHost: localhost:PORT\r\nOrigin: http://evil.test\r\n\r\n',
      403,
    ],
    [
      'a method that nothing takes',
      'PUT /api/config HTTP/1.1\r\nHost: localhost:PORT\r\nContent-Length: 0\r\n\r\n',
      405,
    ],
  ])('%s does not get in', async (_, request, status) => {
    expect(await raw(request)).toBe(status);
  });

  const file = new URL('../../../../shared/vectors/http/admin-attacks.json', import.meta.url);
  const cases: readonly { readonly id: string; readonly request?: string }[] = existsSync(file)
    ? JSON.parse(readFileSync(file, 'utf8')).cases
    : [];

  test('published ones are all turned away, and the server lives', async () => {
    for (const { id, request } of cases) {
      if (request === undefined) continue;
      const status = await raw(request);
      expect([id, status >= 400 && status < 500]).toEqual([id, true]);
    }
    expect((await fetch(url('/healthz/live'))).status).toBe(200);
  });
});
