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
import { eventually } from './support.js';

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

test('DestinationRule tls with a credentialName: a Secret of the namespace, as long as it is there, shown to nobody', async () => {
  const ca = await createTestCa();
  const pair = (name: string) => {
    const { pem, privateKey } = ca.certificate('default', { names: { dnsNames: [name] } });
    return { cert: pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
  };
  const roots = ca.bundle.authorities.join('\n');
  const server = createServer(
    { ...pair('secure.example.com'), ca: roots, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      response.setHeader('connection', 'close');
      response.end((request.socket as TLSSocket).getPeerCertificate().subjectaltname);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A TCP server has this form of address.
  const { port } = server.address() as AddressInfo;
  const documents =
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
      'host: secure.example.com\ntrafficPolicy: { tls: { mode: MUTUAL, credentialName: edge } }',
    );
  const secretOf = (name: string, { cert, key } = pair(name)) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'edge' },
    stringData: { 'tls.crt': cert, 'tls.key': key, 'ca.crt': roots },
  });
  const first = secretOf('first');
  const withSecret = (secret: object) => `${documents}---\n${JSON.stringify(secret)}\n`;
  world = await World.start(withSecret(first));
  world.onClose(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const mesh = await world.join();
  const elsewhere = await world.join({ namespace: 'elsewhere' });
  const ask = (from = mesh) =>
    answerOf(from.fetch('http://secure.example.com/')).catch((error: unknown) => String(error));
  await eventually('the client has it', async () => (await ask())[1] === 'DNS:first');
  expect(await ask(elsewhere)).not.toContain('DNS:first');
  const config = await (await fetch(`http://${world.plane.addresses.http}/api/config`)).text();
  expect(config).toContain('tls.key');
  expect(config).not.toContain('PRIVATE KEY');
  world.configure(withSecret(secretOf('second')));
  await eventually('it has the next one', async () => (await ask())[1] === 'DNS:second');
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
