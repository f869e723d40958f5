import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { BundleEndpointOptions, ControlPlane, FederatedSource } from '../../../src/control-plane.js';
import {
  type BundleSource,
  createBundleEndpointSource,
} from '../../../src/identity/bundle-endpoint/source.js';
import { createSpiffeBundle } from '../../../src/identity/spiffe-bundle.js';
import type { Mesh } from '../../../src/index.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { answerOf, istio, World } from './features-world.js';
import { eventually, type Member } from './support.js';

// Two meshes, each with a control plane and an authority of its own, that federate by their bundle endpoints.

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A place in `federation` for a bundle endpoint whose address is known later. */
function later(trustDomain: string) {
  let source: BundleSource | undefined;
  const listeners = new Set<() => void>();
  const federated: FederatedSource = {
    trustDomain,
    bundle: () => source?.bundle(),
    onUpdate(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => source?.close(),
  };
  /** Follows the endpoint, which proves itself by a bundle that the operators exchanged. */
  const follow = async (plane: ControlPlane) => {
    source = createBundleEndpointSource({
      trustDomain,
      url: `https://${plane.addresses.bundles}/`,
      profile: {
        kind: 'https_spiffe',
        endpointId: `spiffe://${trustDomain}/ns/istio-system/sa/istiod`,
        bundle: createSpiffeBundle(trustDomain, { x509: plane.certificateAuthority.bundle() }),
      },
      clock: systemClock,
      random: () => 0.5,
      logger: silentLogger,
    });
    source.onUpdate(() => {
      for (const listener of listeners) listener();
    });
    await source.ready;
  };
  return { federated, follow, refresh: () => source?.refresh() };
}

const STRICT = istio('PeerAuthentication', 'default', 'mtls: { mode: STRICT }', 'istio-system');

/** Who is let in: one workload of the other trust domain. */
const allow = (principal: string) =>
  istio(
    'AuthorizationPolicy',
    'partners',
    `
selector: { matchLabels: { app: echo } }
action: ALLOW
rules: [{ from: [{ source: { principals: ["${principal}"] } }] }]`,
  );

/** The service of the other mesh, as this one knows it. */
const partner = ({ port }: Member, trustDomain: string) =>
  istio(
    'ServiceEntry',
    'partner',
    `
hosts: [partner.example]
location: MESH_INTERNAL
resolution: STATIC
ports: [{ number: 80, name: http, protocol: HTTP }]
endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
subjectAltNames: ["spiffe://${trustDomain}/ns/default/sa/echo"]`,
  ) +
  istio(
    'DestinationRule',
    'partner',
    'host: partner.example\ntrafficPolicy: { tls: { mode: ISTIO_MUTUAL } }',
  );

async function startDomain(trustDomain: string, other: string, profile?: BundleEndpointOptions['profile']) {
  const others = later(other);
  const policy = STRICT + allow(`${other}/ns/default/sa/teller`);
  const world = await World.start(policy, {
    trustDomain,
    bundleEndpoint: { port: 0, ...(profile && { profile }) },
    federation: [others.federated],
  });
  closers.push(() => world.close());
  const member = await world.serve({ service: 'echo', serviceAccount: 'echo' }, (request, response) => {
    const certificate = String(request.headers['x-forwarded-client-cert'] ?? '');
    response.end(/URI=(\S+)$/.exec(certificate)?.[1] ?? 'plaintext');
  });
  return { trustDomain, world, member, others, policy };
}

type Domain = Awaited<ReturnType<typeof startDomain>>;

async function joinAs({ world }: Domain, serviceAccount: string): Promise<Mesh> {
  return world.join({ service: serviceAccount, serviceAccount });
}

/** What the service of the other mesh answers: its status with who it says is calling, or 0 for no connection. */
async function call(client: Mesh): Promise<string> {
  try {
    const [status, body] = await answerOf(client.fetch('http://partner.example/'));
    return status === 200 ? body : `${status}`;
  } catch {
    return '0';
  }
}

const REFUSED = /^(?:0|503)$/;
const idOf = ({ trustDomain }: Domain, name: string) => `spiffe://${trustDomain}/ns/default/sa/${name}`;

async function startBoth() {
  const shop = await startDomain('shop.test', 'bank.test');
  const bank = await startDomain('bank.test', 'shop.test');
  shop.world.configure(shop.policy + partner(bank.member, bank.trustDomain));
  bank.world.configure(bank.policy + partner(shop.member, shop.trustDomain));
  return { shop, bank };
}

async function federate(shop: Domain, bank: Domain): Promise<void> {
  await shop.others.follow(bank.world.plane);
  await bank.others.follow(shop.world.plane);
}

describe('two trust domains with a control plane each', () => {
  test('their workloads meet over mTLS once both federate, as far as policies by principal let them', async () => {
    const { shop, bank } = await startBoth();
    const teller = { shop: await joinAs(shop, 'teller'), bank: await joinAs(bank, 'teller') };
    const guest = await joinAs(shop, 'guest');
    expect(await call(teller.shop)).toMatch(REFUSED);
    expect(await call(teller.bank)).toMatch(REFUSED);

    // One side alone is not enough: each verifies the other.
    await shop.others.follow(bank.world.plane);
    expect(await call(teller.shop)).toMatch(REFUSED);
    await bank.others.follow(shop.world.plane);
    await eventually(
      'the shop calls the bank',
      async () => (await call(teller.shop)) === idOf(shop, 'teller'),
    );
    await eventually(
      'the bank calls the shop',
      async () => (await call(teller.bank)) === idOf(bank, 'teller'),
    );
    expect(await call(guest)).toBe('403');
  });

  test('a member federates by itself, with an endpoint that shows a certificate of the web', async () => {
    const web = await createTestCa({ trustDomain: 'web.test' });
    const issued = await web.authority.issueServer({ id: web.id('bundles'), dnsNames: ['localhost'] });
    const folder = await mkdtemp(join(tmpdir(), 'inmesh-web-'));
    closers.push(() => rm(folder, { recursive: true }));
    const [certificateFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    await writeFile(certificateFile, issued.chainPem.join(''));
    await writeFile(keyFile, issued.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const shop = await startDomain('shop.test', 'bank.test');
    const bank = await startDomain('bank.test', 'shop.test', {
      kind: 'https_web',
      certificateFile,
      keyFile,
    });
    shop.world.configure(shop.policy + partner(bank.member, bank.trustDomain));
    await bank.others.follow(shop.world.plane);
    const port = bank.world.plane.addresses.bundles?.split(':')[1];
    const tellerOf = (roots: readonly string[]) =>
      shop.world.join({
        service: 'teller',
        serviceAccount: 'teller',
        startupTimeoutMs: 2_000,
        federation: [{ trustDomain: 'bank.test', url: `https://localhost:${port}/`, roots }],
      });
    const teller = await tellerOf(web.bundle.authorities);
    await eventually('the shop calls the bank', async () => (await call(teller)) === idOf(shop, 'teller'));
    const misled = await tellerOf(bank.world.plane.certificateAuthority.bundle().authorities);
    expect(await call(misled)).toMatch(REFUSED);
  });

  test('what one of them takes back, the other refuses, on connections that stand, too', async () => {
    const { shop, bank } = await startBoth();
    await federate(shop, bank);
    const teller = { shop: await joinAs(shop, 'teller'), bank: await joinAs(bank, 'teller') };
    await eventually(
      'the shop calls the bank',
      async () => (await call(teller.shop)) === idOf(shop, 'teller'),
    );
    await eventually(
      'the bank calls the shop',
      async () => (await call(teller.bank)) === idOf(bank, 'teller'),
    );

    // A caller.
    const { revocation } = shop.world.plane.certificateAuthority;
    await revocation.revoke({ kind: 'ids', value: idOf(shop, 'teller') });
    await bank.others.refresh();
    await eventually('the bank refuses the caller', async () => REFUSED.test(await call(teller.shop)));
    expect(await call(teller.bank)).toBe(idOf(bank, 'teller'));

    // A server.
    await revocation.revoke({ kind: 'ids', value: idOf(shop, 'echo') });
    await bank.others.refresh();
    await eventually('the bank refuses the server', async () => REFUSED.test(await call(teller.bank)));
    await revocation.restore({ kind: 'ids', value: idOf(shop, 'echo') });
    await bank.others.refresh();
    await eventually('it may serve again', async () => (await call(teller.bank)) === idOf(bank, 'teller'));
  });
});
