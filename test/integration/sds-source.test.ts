import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSdsSource, type SdsSourceOptions } from '../../src/identity/sds-source.js';
import type { X509Svid } from '../../src/identity/x509-svid.js';
import { core, discovery, tls, wkt } from '../../src/proto/xds.js';
import { systemClock } from '../../src/runtime/clock.js';
import { silentLogger } from '../../src/runtime/log.js';
import { createTestCa } from '../../src/testing/test-ca.js';

const ca = await createTestCa({ trustDomain: 'td.test' });
const other = await createTestCa({ trustDomain: 'other.test' });
const TYPE = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.';
const asIs = (bytes: Buffer) => bytes;
type Call = ServerDuplexStream<Buffer, Buffer>;

/** An agent with the secrets that a test sets, over a real socket. */
class Agent {
  readonly requests: discovery.DiscoveryRequest[] = [];
  readonly #secrets = new Map<string, tls.Secret>();
  readonly #streams = new Map<Call, string>();
  #server = new Server();
  #version = 0;
  #heard = () => {};

  async start(address: string): Promise<void> {
    this.#server = new Server();
    this.#server.addService(
      {
        StreamSecrets: {
          path: '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets',
          requestStream: true,
          responseStream: true,
          requestSerialize: asIs,
          requestDeserialize: asIs,
          responseSerialize: asIs,
          responseDeserialize: asIs,
        },
      },
      { StreamSecrets: (call: Call) => this.#serve(call) },
    );
    await new Promise<void>((resolve, reject) => {
      this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }

  stop(): void {
    this.#server.forceShutdown();
    this.#streams.clear();
  }

  set(secret: tls.Secret): void {
    this.#version++;
    this.#secrets.set(secret.name, secret);
    for (const [stream, name] of this.#streams) if (name === secret.name) this.#send(stream, secret);
  }

  /** Settles when a request satisfies the condition. */
  async heard(condition: (request: discovery.DiscoveryRequest) => boolean): Promise<void> {
    while (!this.requests.some(condition))
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
  }

  #serve(call: Call): void {
    call.on('data', (bytes: Buffer) => {
      const request = fromBinary(discovery.DiscoveryRequestSchema, bytes);
      this.requests.push(request);
      this.#heard();
      const [name = ''] = request.resourceNames;
      const secret = this.#secrets.get(name);
      if (request.responseNonce !== '') return;
      this.#streams.set(call, name);
      if (secret !== undefined) this.#send(call, secret);
    });
    call.on('error', () => this.#streams.delete(call));
  }

  #send(call: Call, secret: tls.Secret): void {
    const schema = discovery.DiscoveryResponseSchema;
    const value = toBinary(tls.SecretSchema, secret);
    const resources = [create(wkt.AnySchema, { typeUrl: `${TYPE}Secret`, value })];
    const [versionInfo, nonce] = [`${this.#version}`, `n${this.#version}`];
    call.write(
      Buffer.from(
        toBinary(schema, create(schema, { versionInfo, nonce, typeUrl: `${TYPE}Secret`, resources })),
      ),
    );
  }
}

const inline = (text: string) =>
  create(core.DataSourceSchema, { specifier: { case: 'inlineBytes', value: Buffer.from(text) } });
const certificate = (svid: X509Svid, name = 'default') =>
  create(tls.SecretSchema, {
    name,
    type: {
      case: 'tlsCertificate',
      value: create(tls.TlsCertificateSchema, {
        certificateChain: inline(svid.certificatesPem.join('')),
        privateKey: inline(svid.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
      }),
    },
  });
const roots = (pem: string, name = 'ROOTCA') =>
  create(tls.SecretSchema, {
    name,
    type: {
      case: 'validationContext',
      value: create(tls.CertificateValidationContextSchema, { trustedCa: inline(pem) }),
    },
  });

let dir = '';
let agent: Agent;
let target = '';
let number = 0;
const closers: (() => unknown)[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'inmesh-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));
beforeEach(async () => {
  target = `unix://${dir}/sds-${number++}.sock`;
  agent = new Agent();
  await agent.start(target);
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
  agent.stop();
});
const follow = (options: Partial<SdsSourceOptions> = {}) => {
  const source = createSdsSource({
    target,
    clock: systemClock,
    random: () => 0.5,
    logger: silentLogger,
    ...options,
  });
  closers.push(() => source.close());
  return source;
};

describe('SDS as a source of identity', () => {
  test('supplies the certificate and the roots, acknowledges them and follows them', async () => {
    agent.set(certificate(ca.svid('a')));
    agent.set(roots(ca.bundle.authorities.join('')));
    const source = follow();
    await source.ready;
    expect(source.svid()?.id).toEqual(ca.id('a'));
    expect(source.bundle('td.test')?.authorities).toEqual(ca.bundle.authorities);
    await agent.heard(
      ({ responseNonce, errorDetail }) => responseNonce === 'n2' && errorDetail === undefined,
    );
    const rotated = new Promise<void>((resolve) => source.onUpdate(resolve));
    agent.set(certificate(ca.svid('b')));
    await rotated;
    expect(source.svid()?.id).toEqual(ca.id('b'));
  });

  test('roots of several trust domains come as the SPIFFE validator of Envoy', async () => {
    const config = create(tls.SPIFFECertValidatorConfigSchema, {
      trustDomains: [ca, other].map(({ trustDomain, bundle }) => ({
        name: trustDomain,
        trustBundle: inline(bundle.authorities.join('')),
      })),
    });
    const typedConfig = create(wkt.AnySchema, {
      typeUrl: `${TYPE}SPIFFECertValidatorConfig`,
      value: toBinary(tls.SPIFFECertValidatorConfigSchema, config),
    });
    const customValidatorConfig = create(core.TypedExtensionConfigSchema, {
      name: 'envoy.tls.cert_validator.spiffe',
      typedConfig,
    });
    agent.set(certificate(ca.svid('a')));
    agent.set(
      create(tls.SecretSchema, {
        name: 'ALL',
        type: {
          case: 'validationContext',
          value: create(tls.CertificateValidationContextSchema, { customValidatorConfig }),
        },
      }),
    );
    const source = follow({ rootsName: 'ALL' });
    await source.ready;
    expect(source.bundle('other.test')?.authorities).toEqual(other.bundle.authorities);
    expect(source.federated?.()).toContain('other.test');
  });

  test('what can not be used is refused, and what came before stays', async () => {
    agent.set(certificate(ca.svid('a')));
    agent.set(roots(ca.bundle.authorities.join('')));
    const source = follow();
    await source.ready;
    agent.set(roots('garbage', 'default'));
    await agent.heard(({ errorDetail }) => errorDetail?.code === status.INVALID_ARGUMENT);
    agent.set(roots('garbage'));
    await agent.heard(
      ({ errorDetail, resourceNames: [name] }) => errorDetail !== undefined && name === 'ROOTCA',
    );
    expect(source.bundle('td.test')?.authorities).toEqual(ca.bundle.authorities);
    expect(source.svid()?.id).toEqual(ca.id('a'));
  });

  test('outlives its agent', async () => {
    agent.set(certificate(ca.svid('a')));
    agent.set(roots(ca.bundle.authorities.join('')));
    const source = follow();
    await source.ready;
    agent.stop();
    agent = new Agent();
    agent.set(certificate(ca.svid('b')));
    agent.set(roots(ca.bundle.authorities.join('')));
    const back = new Promise<void>((resolve) => {
      source.onUpdate(() => source.svid()?.id.equals(ca.id('b')) && resolve());
    });
    await agent.start(target);
    await back;
    expect(source.svid()?.id).toEqual(ca.id('b'));
  });
});
