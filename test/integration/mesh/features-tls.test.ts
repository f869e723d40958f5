import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { answerOf, istio, World } from './features-world.js';

let world: World;

afterEach(() => world.close());

test.each([
  ['MUTUAL', 'clientCertificate: CERT, privateKey: KEY, caCertificates: ROOTS', 'DNS:client'],
  ['SIMPLE', 'caCertificates: ROOTS', 'nobody'],
  ['SIMPLE', 'insecureSkipVerify: true', 'nobody'],
])('DestinationRule tls mode %s, %s', async (mode, fields, answer) => {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-'));
  const ca = await createTestCa();
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const pair = (name: string) => {
    const { pem, privateKey } = ca.certificate('default', { names: { dnsNames: [name] } });
    return { cert: pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
  };
  const roots = ca.bundle.authorities.join('\n');
  const server = createServer(
    { ...pair('secure.example.com'), ca: roots, requestCert: true, rejectUnauthorized: mode === 'MUTUAL' },
    (request, response) => {
      response.end((request.socket as TLSSocket).getPeerCertificate().subjectaltname ?? 'nobody');
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A TCP server has this form of address.
  const { port } = server.address() as AddressInfo;
  const client = pair('client');
  const tls = fields
    .replace('CERT', write('cert.pem', client.cert))
    .replace('KEY', write('key.pem', client.key))
    .replace('ROOTS', write('roots.pem', roots));
  world = await World.start(
    istio(
      'ServiceEntry',
      'secure',
      `hosts: [secure.example.com]
ports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${port} }]
resolution: STATIC
endpoints: [{ address: 127.0.0.1 }]`,
    ) +
      istio(
        'DestinationRule',
        'secure',
        `host: secure.example.com\ntrafficPolicy: { tls: { mode: ${mode}, ${tls} } }`,
      ),
  );
  world.onClose(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  });
  const mesh = await world.join();
  expect(await answerOf(mesh.fetch('http://secure.example.com/'))).toEqual([200, answer]);
});

test('ServiceEntry with a Unix socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-'));
  const path = join(folder, 'socket');
  const server = createHttpServer((request, response) => response.end(request.headers.host));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  world = await World.start(
    istio(
      'ServiceEntry',
      'local',
      `hosts: [local.example.com]
ports: [{ number: 80, name: http, protocol: HTTP }]
resolution: STATIC
endpoints: [{ address: "unix://${path}" }]`,
    ),
  );
  world.onClose(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  });
  const mesh = await world.join();
  expect(await answerOf(mesh.fetch('http://local.example.com/'))).toEqual([200, 'local.example.com']);
});
