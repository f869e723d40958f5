import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createX509Bundle } from '../../src/identity/bundle.js';
import {
  type BundleEndpointOptions,
  type BundleSource,
  createBundleEndpointSource,
} from '../../src/identity/bundle-endpoint/source.js';
import { federate } from '../../src/identity/federated-source.js';
import {
  createSpiffeBundle,
  encodeSpiffeBundle,
  type SpiffeBundleParts,
} from '../../src/identity/spiffe-bundle.js';
import { silentLogger } from '../../src/runtime/log.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';
import { createTestCa } from '../../src/testing/test-ca.js';

const clock = createFakeClock(Date.now());
const partner = await createTestCa({ trustDomain: 'partner.test', clock });
const next = await createTestCa({ trustDomain: 'partner.test', clock });
const stranger = await createTestCa({ trustDomain: 'partner.test', clock });
const SERVER = 'spiffe://partner.test/bundle-server';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const documentOf = (parts: SpiffeBundleParts = {}) =>
  encodeSpiffeBundle(createSpiffeBundle('partner.test', { x509: partner.bundle, sequence: 1n, ...parts }));

/** An endpoint with a certificate of this authority, for localhost and as an SVID. */
async function serve(handler: RequestListener, authority = partner, name = SERVER) {
  const materialOf = async (ca: typeof partner) => {
    const issued = await ca.authority.issueServer({ id: ca.id(name), dnsNames: ['localhost'] });
    return {
      cert: issued.chainPem.join(''),
      key: issued.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  };
  const server = createServer(await materialOf(authority), handler).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  closers.push(
    () => server.close(),
    () => server.closeAllConnections(),
  );
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://localhost:${port}/bundle.json`,
    rotate: async (ca: typeof partner) => server.setSecureContext(await materialOf(ca)),
  };
}

const follow = (url: string, options: Partial<BundleEndpointOptions> = {}): BundleSource => {
  const source = createBundleEndpointSource({
    trustDomain: 'partner.test',
    url,
    profile: { kind: 'https_web', roots: partner.bundle.authorities },
    clock,
    random: () => 0.5,
    logger: silentLogger,
    ...options,
  });
  closers.push(() => source.close());
  return source;
};
const updated = (source: BundleSource) =>
  new Promise<void>((resolve) => closers.push(source.onUpdate(resolve)));
const spiffe = (authority = partner, endpointId = SERVER) => ({
  profile: {
    kind: 'https_spiffe' as const,
    endpointId,
    bundle: createSpiffeBundle('partner.test', { x509: authority.bundle }),
  },
});

describe('a bundle endpoint with a certificate of the web', () => {
  test('is fetched at once and as often as it hints', async () => {
    let document = documentOf({ refreshHintMs: 60_000 });
    const { url } = await serve((_, response) => response.end(document));
    const source = follow(url);
    await source.ready;
    expect(source.bundle()?.x509.authorities).toEqual(partner.bundle.authorities);
    document = documentOf({ x509: next.bundle, sequence: 2n });
    const change = updated(source);
    await clock.advance(60_000);
    await change;
    expect(source.bundle()).toMatchObject({ sequence: 2n, x509: { authorities: next.bundle.authorities } });
  });

  test.each<[string, RequestListener, string]>([
    [
      'redirects',
      (_, response) => response.writeHead(302, { location: 'https://evil.test/' }).end(),
      'a redirect',
    ],
    ['fails', (_, response) => response.writeHead(503).end(), 'status 503'],
    ['never ends', (_, response) => void response.write('x'.repeat(5 * 1024 * 1024)), 'larger than'],
    ['breaks off', (_, response) => void response.write('{', () => response.destroy()), 'cut short'],
    ['sends no bundle', (_, response) => response.end('{}'), 'no array'],
  ])('that %s leaves the last good bundle in use', async (_, handler, why) => {
    let current: RequestListener = (__, response) => response.end(documentOf());
    const { url } = await serve((incoming, response) => current(incoming, response));
    const source = follow(url);
    await source.ready;
    current = handler;
    await expect(source.refresh()).rejects.toThrow(why);
    expect(source.bundle()?.sequence).toBe(1n);
  });

  test('an old bundle is not used', async () => {
    let document = documentOf({ sequence: 5n });
    const { url } = await serve((_, response) => response.end(document));
    const source = follow(url);
    await source.ready;
    document = documentOf({ x509: stranger.bundle, sequence: 4n });
    await source.refresh();
    expect(source.bundle()?.sequence).toBe(5n);
  });

  test('of a host with another name, or of an unknown authority, is not believed', async () => {
    const { url } = await serve((_, response) => response.end(documentOf()));
    await expect(follow(url.replace('localhost', '127.0.0.1')).ready).rejects.toMatchObject({
      code: 'INMESH_BUNDLE_UNAVAILABLE',
    });
    const other = follow(url, { profile: { kind: 'https_web', roots: stranger.bundle.authorities } });
    await expect(other.ready).rejects.toMatchObject({ code: 'INMESH_BUNDLE_UNAVAILABLE' });
  });

  test('the last good bundle outlives the process', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'inmesh-'));
    closers.push(() => rm(dir, { recursive: true, force: true }));
    const file = join(dir, 'bundle.json');
    const { url } = await serve((_, response) => response.end(documentOf()));
    await follow(url, { file }).ready;
    expect(JSON.parse(await readFile(file, 'utf8')).spiffe_sequence).toBe(1);
    const restarted = follow('https://127.0.0.1:1/', { file });
    await expect(restarted.ready).rejects.toThrow('ECONNREFUSED');
    expect(restarted.bundle()?.sequence).toBe(1n);
  });
});

describe('a bundle endpoint with an SVID', () => {
  test('is verified by the bundle that it served last', async () => {
    let document = documentOf({ x509: partner.bundle });
    const { url, rotate } = await serve((_, response) => response.end(document));
    const source = follow(url, spiffe());
    await source.ready;
    // The root changes as it must: both are published before the new one is used, and until the old one is not.
    const both = createX509Bundle('partner.test', [
      ...partner.bundle.authorities,
      ...next.bundle.authorities,
    ]);
    document = documentOf({ x509: both, sequence: 2n });
    await source.refresh();
    await rotate(next);
    document = documentOf({ x509: next.bundle, sequence: 3n });
    await source.refresh();
    await source.refresh();
    expect(source.bundle()?.sequence).toBe(3n);
    await rotate(partner);
    await expect(source.refresh()).rejects.toMatchObject({ code: 'INMESH_BUNDLE_UNAVAILABLE' });
  });

  test.each<[string, Partial<BundleEndpointOptions>]>([
    ['another identity', spiffe(partner, 'spiffe://partner.test/somebody-else')],
    ['another authority', spiffe(stranger)],
  ])('is not asked for anything when it has %s than expected', async (_, options) => {
    let asked = 0;
    const { url } = await serve((__, response) => {
      asked++;
      response.end(documentOf());
    });
    await expect(follow(url, options).ready).rejects.toMatchObject({ code: 'INMESH_BUNDLE_UNAVAILABLE' });
    expect(asked).toBe(0);
  });

  test('of another trust domain needs the bundle of that', async () => {
    const host = await createTestCa({ trustDomain: 'host.test', clock });
    const { url } = await serve(
      (_, response) => response.end(documentOf()),
      host,
      'spiffe://host.test/bundles',
    );
    const profile = { kind: 'https_spiffe' as const, endpointId: 'spiffe://host.test/bundles' };
    await expect(follow(url, { profile }).ready).rejects.toThrow('nothing verifies');
    const bundleOf = (name: string) => (name === 'host.test' ? host.bundle : undefined);
    const source = follow(url, { profile: { ...profile, bundleOf } });
    await source.ready;
    expect(source.bundle()?.sequence).toBe(1n);
  });
});

describe('federation', () => {
  test('adds a trust domain to an identity, and takes nothing from it', async () => {
    const { url } = await serve((_, response) => response.end(documentOf()));
    const source = follow(url);
    await source.ready;
    const home = await createTestCa({ trustDomain: 'home.test', clock });
    const own = { ...home.source('a'), ready: Promise.resolve(), renewNow: async () => {}, close: () => {} };
    const both = federate(own, [source]);
    expect(both.bundle('home.test')).toBe(home.bundle);
    expect(both.bundle('partner.test')?.authorities).toEqual(partner.bundle.authorities);
    expect(both.bundle('other.test')).toBeUndefined();
    expect(both.federated?.()).toEqual(['partner.test']);
  });

  test.each(['http://a.test/', 'https://user@a.test/', 'a.test', 'https://a.test/#x'])(
    '%s is no endpoint',
    (url) => {
      expect(() => follow(url)).toThrow('INMESH_OPTION_INVALID');
    },
  );
});
