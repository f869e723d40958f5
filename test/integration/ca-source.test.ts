import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { loopbackAuthenticator } from '../../src/control-plane/ca/authenticate.js';
import { handleCreateCertificate } from '../../src/control-plane/ca/create-certificate.js';
import { type CaSource, type CaSourceOptions, createCaSource } from '../../src/identity/ca-source.js';
import { createIdentityCache } from '../../src/identity/identity-cache.js';
import { istioCa } from '../../src/proto/xds.js';
import { systemClock } from '../../src/runtime/clock.js';
import { MeshError } from '../../src/runtime/errors.js';
import { silentLogger } from '../../src/runtime/log.js';
import { systemRandom } from '../../src/runtime/random.js';
import { createTestCa, type TestCa } from '../../src/testing/test-ca.js';

const ca = await createTestCa();
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

type Answer = (
  csr: string,
  validityDuration: bigint,
  peer: string,
  metadata: Metadata,
) => string[] | Promise<string[]>;

const honest =
  (authority: TestCa): Answer =>
  async (csr, validityDurationSeconds, peerAddress, metadata) => {
    const read = (name: string) => metadata.get(name)[0]?.toString();
    const caller = loopbackAuthenticator(authority.trustDomain)({ peerAddress, metadata: read });
    const request = { csr, validityDurationSeconds };
    return (await handleCreateCertificate(authority.authority, request, { caller })).certChain;
  };

async function serve(answer: Answer, port = 0): Promise<{ readonly port: number; stop(): void }> {
  const server = new Server();
  const identity = (bytes: Buffer) => bytes;
  const definition = {
    CreateCertificate: {
      path: '/istio.v1.auth.IstioCertificateService/CreateCertificate',
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  } as const;
  server.addService(definition, {
    async CreateCertificate(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) {
      try {
        const request = fromBinary(istioCa.IstioCertificateRequestSchema, call.request);
        const certChain = await answer(request.csr, request.validityDuration, call.getPeer(), call.metadata);
        const response = create(istioCa.IstioCertificateResponseSchema, { certChain });
        callback(null, Buffer.from(toBinary(istioCa.IstioCertificateResponseSchema, response)));
      } catch (error) {
        const code = MeshError.is(error) ? status.PERMISSION_DENIED : status.INTERNAL;
        callback({ code, details: String(error) });
      }
    },
  });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, result) =>
      error === null ? resolve(result) : reject(error),
    );
  });
  closers.push(() => server.forceShutdown());
  return { port: bound, stop: () => server.forceShutdown() };
}

function source(port: number, options: Partial<CaSourceOptions> = {}): CaSource {
  const made = createCaSource({
    target: `127.0.0.1:${port}`,
    identity: { namespace: 'shop', serviceAccount: 'cart' },
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    readyTimeoutMs: 2000,
    ...options,
  });
  closers.push(() => made.close());
  return made;
}

const code = (name: string) => expect.objectContaining({ code: name });

describe('a source fed by a certificate authority', () => {
  test('gets a certificate for who it is, and the roots to trust', async () => {
    const { port } = await serve(honest(ca));
    const made = source(port, { requestedLifeMs: 60_000 });
    await made.ready;
    expect(made.svid()?.id.toString()).toBe('spiffe://cluster.local/ns/shop/sa/cart');
    expect(made.svid()?.certificatesPem).toHaveLength(1);
    expect(made.bundle('cluster.local')?.authorities).toEqual(ca.bundle.authorities);
    expect((made.svid()?.notAfterMs ?? 0) - Date.now()).toBeLessThanOrEqual(60_000);
  });

  test('while one authority can not be reached, the next one signs; a refusal is final', async () => {
    const { port } = await serve(honest(ca));
    const gone = await serve(honest(ca));
    gone.stop();
    const made = source(gone.port, { fallbacks: [{ target: `127.0.0.1:${port}` }] });
    await made.ready;
    expect(made.svid()?.id.toString()).toBe('spiffe://cluster.local/ns/shop/sa/cart');

    const refusing = await serve(() => {
      throw new MeshError('INMESH_CSR_INVALID', 'no');
    });
    const refused = source(refusing.port, {
      fallbacks: [{ target: `127.0.0.1:${port}` }],
      readyTimeoutMs: 300,
    });
    await expect(refused.ready).rejects.toThrow(code('INMESH_CA_REFUSED'));
    expect(refused.svid()).toBeUndefined();
  });

  test('uses a new key for each renewal', async () => {
    const { port } = await serve(honest(ca));
    const made = source(port);
    await made.ready;
    const first = made.svid();
    await made.renewNow();
    expect(made.svid()?.leaf.publicKey.equals(first!.leaf.publicKey)).toBe(false);
  });

  test('does not believe an answer for somebody else, with another key, or without a root', async () => {
    const other = await ca.csr('shop/cart');
    const caller = { id: ca.id('shop/cart'), authenticator: 'test' };
    const issue = async (csr: string, id = caller.id) => {
      const request = { csr, validityDurationSeconds: 0 };
      return (await handleCreateCertificate(ca.authority, request, { caller: { ...caller, id } })).certChain;
    };
    const answers: Answer[] = [
      (csr) => issue(csr, ca.id('shop/admin')),
      () => issue(other.csrPem),
      async (csr) => (await issue(csr)).slice(0, 1),
      () => ['garbage', 'garbage'],
      () => [],
    ];
    await Promise.all(
      answers.map(async (answer) => {
        const { port } = await serve(answer);
        const made = source(port, { readyTimeoutMs: 3000 });
        await expect(made.ready).rejects.toThrow(code('INMESH_SVID_INVALID'));
        expect(made.svid()).toBeUndefined();
      }),
    );
  });

  test('does not believe an authority of another trust domain than the one it was told', async () => {
    const { port } = await serve(honest(ca));
    const made = source(port, { trustDomain: 'other.test', readyTimeoutMs: 3000 });
    await expect(made.ready).rejects.toThrow(code('INMESH_SVID_INVALID'));
  });

  test('says when the authority refuses', async () => {
    const { port } = await serve(honest(ca));
    const made = source(port, { callMetadata: async () => ({}) });
    await expect(made.ready).rejects.toThrow(code('INMESH_CA_REFUSED'));
  });

  test('says when the authority is down, and recovers when it comes back', async () => {
    const { port, stop } = await serve(honest(ca));
    stop();
    const made = source(port, { readyTimeoutMs: 300 });
    await expect(made.ready).rejects.toThrow(code('INMESH_CA_UNAVAILABLE'));
    const updated = new Promise<void>((resolve) => {
      made.onUpdate(resolve);
    });
    await serve(honest(ca), port);
    await updated;
    expect(made.svid()).toBeDefined();
  });

  test('starts from its cache while the authority is down', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'inmesh-'));
    closers.push(() => rm(dir, { recursive: true, force: true }));
    const cache = createIdentityCache({ dir, key: 'shop.cart' });
    const { port, stop } = await serve(honest(ca));
    const first = source(port, { cache });
    await first.ready;
    await expect.poll(() => cache.load(), { interval: 10 }).toBeDefined();
    stop();
    const second = source(port, { cache });
    await second.ready;
    expect(second.svid()?.certificatesPem).toEqual(first.svid()?.certificatesPem);
  });
});
