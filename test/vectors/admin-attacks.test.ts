import { connect } from 'node:net';
import { afterAll, beforeAll, expect } from 'vitest';
import { createMesh, type Mesh } from '../../src/index.js';
import { type ControlPlane, createControlPlane } from '../../src/control-plane.js';
import { safeJson } from '../../src/runtime/admin-request.js';
import { hasVectors, vectorJson, vectorSuite } from './score.js';

interface Attack {
  readonly id: string;
  /** `PORT` stands for the port. */
  readonly request?: string;
  readonly expect: string;
  readonly data?: string;
  readonly where?: string;
  readonly check?: string;
}

const file = 'http/admin-attacks.json';
const cases = (vectorJson(file) as { cases: Attack[] } | undefined)?.cases ?? [];
let plane: ControlPlane | undefined;
let mesh: Mesh | undefined;

beforeAll(async () => {
  if (!hasVectors) return;
  plane = await createControlPlane({ ports: { xds: 0, secureXds: 0, http: 0, metrics: 0 } });
  mesh = await createMesh({
    service: 'attacked',
    controlPlane: plane.addresses.xds,
    cacheDir: false,
    adminAddress: '127.0.0.1:0',
    startupTimeoutMs: 0,
  });
});

afterAll(async () => {
  await mesh?.close();
  await plane?.close();
});

/** Status of the answer to bytes as they are, and the answer. */
function send(address: string, request: string): Promise<{ readonly status: number; readonly text: string }> {
  const port = address.slice(address.lastIndexOf(':') + 1);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), '127.0.0.1', () => socket.end(request.replaceAll('PORT', port)));
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
    });
    socket.on('close', () => resolve({ status: Number(text.split(' ')[1]), text }));
    socket.on('error', reject);
  });
}

const ports: readonly [string, () => string][] = [
  ['status API of the control plane', () => plane?.addresses.http ?? ''],
  ['metrics port of the control plane', () => plane?.addresses.metrics ?? ''],
  ['admin port of a member', () => `127.0.0.1:${mesh?.status().admin?.port}`],
];

for (const [name, addressOf] of ports) {
  vectorSuite({
    file,
    part: name,
    cases,
    title: ({ id }) => id,
    skip: ({ request, data }) =>
      request === undefined && data === undefined ? 'looked at by a test of its own (secrets)' : undefined,
    async run({ request, data, expect: wanted }) {
      if (request === undefined) {
        // What is embedded in a page stays data.
        expect(safeJson({ data })).not.toMatch(/[<>]/);
        expect(JSON.parse(safeJson({ data }))).toEqual({ data });
        const shown = await send(
          addressOf(),
          `GET /${encodeURIComponent(data ?? '')} HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n`,
        );
        expect(shown.text).not.toContain('<script');
        return;
      }
      const { status } = await send(addressOf(), request);
      expect(wanted.match(/\d{3}/g)?.map(Number)).toContain(status);
      const alive = await send(addressOf(), 'GET /ready HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n');
      expect([200, 503]).toContain(alive.status);
    },
  });
}
