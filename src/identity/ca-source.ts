import { create, toBinary } from '@bufbuild/protobuf';
import type { ChannelCredentials, Client, Metadata, ServiceError } from '@grpc/grpc-js';
import { readMessage } from '../proto/read-message.js';
import { istioCa } from '../proto/xds.js';
import type { Clock } from '../runtime/clock.js';
import { codeOf, MeshError, messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import { createX509Bundle } from './bundle.js';
import { INSTANCE_METADATA, NAMESPACE_METADATA, SERVICE_ACCOUNT_METADATA } from './caller-metadata.js';
import { createCsr } from './csr.js';
import type { CachedIdentity, IdentityCache } from './identity-cache.js';
import { readPem } from './pem.js';
import { createRotatingSource, type RotatingSource } from './rotation.js';
import { istioId, type SpiffeId } from './spiffe-id.js';
import { verifyPeer } from './verify.js';
import { parseX509Svid } from './x509-svid.js';

const PATH = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const CALL_TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 1024 * 1024;

/** A source whose certificate comes from a certificate authority that speaks Istio's protocol. */
export type CaSource = RotatingSource;

/** Sends a signing request; answers with the PEM chain, leaf first, root last. */
export type SignCsr = (csrPem: string, lifeMs: number, signal: AbortSignal) => Promise<readonly string[]>;

/** Where an authority is, and how it is called. */
export interface CaAddress {
  /** gRPC target of the authority, e.g. `127.0.0.1:15012`. */
  readonly target: string;
  /** Default: none over loopback, the platform's roots elsewhere. */
  readonly credentials?:
    | ((grpc: typeof import('@grpc/grpc-js')) => ChannelCredentials | Promise<ChannelCredentials>)
    | undefined;
}

/** Where and for whom certificates are asked for. */
export interface CaSourceOptions extends CaAddress {
  /** Asked in turn while the first one can't be reached. */
  readonly fallbacks?: readonly CaAddress[] | undefined;
  /** Who this workload is; the authority must answer with exactly that. */
  readonly identity: { readonly namespace: string; readonly serviceAccount: string };
  /** The authority must be of this trust domain; any when absent. */
  readonly trustDomain?: string | undefined;
  /** Life to ask for; the authority's default when absent. */
  readonly requestedLifeMs?: number | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly cache?: IdentityCache | undefined;
  /** Metadata that proves who is calling; default: the claimed identity, over loopback only. */
  readonly callMetadata?: (() => Promise<Readonly<Record<string, string>>>) | undefined;
  readonly readyTimeoutMs?: number | undefined;
  /** Id of this process in xDS: a rotation of roots waits until it has renewed its certificate. */
  readonly instance?: string | undefined;
}

/** Gets certificates from an authority over gRPC (`istio.v1.auth.IstioCertificateService`) and renews them. */
export function createCaSource(options: CaSourceOptions): CaSource {
  // A name that can never be certified is the caller's mistake: told at once, not retried.
  wantedId(options);
  const sign = firstOf([
    createGrpcSigner(options),
    ...(options.fallbacks ?? []).map((one) => createGrpcSigner({ ...options, ...one })),
  ]);
  return createRotatingSource({
    obtain: (signal) => obtainSvid(sign, options, signal),
    clock: options.clock,
    random: options.random,
    logger: options.logger,
    cache: options.cache,
    readyTimeoutMs: options.readyTimeoutMs,
  });
}

/** Asks the next authority while the one before can't be reached; a refusal is an answer. */
function firstOf(signers: readonly SignCsr[]): SignCsr {
  return async (csrPem, lifeMs, signal) => {
    let first: unknown;
    for (const sign of signers) {
      try {
        return await sign(csrPem, lifeMs, signal);
      } catch (error) {
        first ??= error;
        if (signal.aborted || codeOf(error) !== 'INMESH_CA_UNAVAILABLE') throw error;
      }
    }
    throw first;
  };
}

type ObtainOptions = Pick<
  CaSourceOptions,
  'target' | 'identity' | 'trustDomain' | 'requestedLifeMs' | 'clock'
>;

/** Makes a key, has it certified, and believes the answer only if it holds. */
export async function obtainSvid(
  sign: SignCsr,
  options: ObtainOptions,
  signal: AbortSignal,
): Promise<CachedIdentity> {
  const wanted = wantedId(options);
  const { privateKey, csrPem } = await createCsr(wanted);
  const chain = await sign(csrPem, options.requestedLifeMs ?? 0, signal);
  const der = chain.flatMap((pem) => readPem(pem, 'CERTIFICATE'));
  const root = chain[chain.length - 1];
  if (root === undefined || der.length < 2)
    throw badAnswer(options.target, 'it holds no chain of leaf and root');
  try {
    const svid = parseX509Svid(chain, privateKey);
    checkId(svid.id, wanted, options);
    const bundle = createX509Bundle(svid.id.trustDomain, root);
    verifyPeer(der.slice(0, -1), () => bundle, { nowMs: options.clock.wallTime() });
    return { svid, bundles: [bundle] };
  } catch (error) {
    throw badAnswer(options.target, messageOf(error), error);
  }
}

/** Without a known trust domain its part in the request is a formality: the authority ignores it. */
function wantedId({ identity, trustDomain = 'cluster.local' }: ObtainOptions): SpiffeId {
  return istioId(trustDomain, identity.namespace, identity.serviceAccount);
}

function checkId(id: SpiffeId, wanted: SpiffeId, { trustDomain }: ObtainOptions): void {
  if (id.path === wanted.path && (trustDomain === undefined || id.trustDomain === trustDomain)) return;
  throw new TypeError(`it is for ${id} instead of ${wanted}`);
}

function badAnswer(target: string, why: string, cause?: unknown): MeshError {
  return new MeshError(
    'INMESH_SVID_INVALID',
    `the certificate authority answered with a certificate that does not hold: ${why}`,
    {
      resource: target,
      cause,
      hint: 'Check that the address is that of the control plane, and compare the clocks of both machines',
    },
  );
}

/** One connection a call: between two renewals, hours apart, there is nothing to keep open. */
function createGrpcSigner(options: CaSourceOptions): SignCsr {
  return async (csrPem, lifeMs, signal) => {
    const grpc = await import('@grpc/grpc-js');
    const isLocal = isLoopbackTarget(options.target);
    const credentials =
      (await options.credentials?.(grpc)) ??
      (isLocal ? grpc.credentials.createInsecure() : grpc.credentials.createSsl());
    const metadata = new grpc.Metadata();
    for (const [name, value] of Object.entries(await callMetadata(options, isLocal)))
      metadata.set(name, value);
    if (options.instance !== undefined) metadata.set(INSTANCE_METADATA, encodeURIComponent(options.instance));
    const client = new grpc.Client(options.target, credentials, {
      'grpc.max_receive_message_length': MAX_ANSWER_BYTES,
      // A pooled subchannel would remember the last failure and wait a back-off of its own.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
    });
    const request = toBinary(
      istioCa.IstioCertificateRequestSchema,
      create(istioCa.IstioCertificateRequestSchema, {
        csr: csrPem,
        validityDuration: BigInt(Math.ceil(lifeMs / 1000)),
      }),
    );
    try {
      const answer = await callUnary(client, { request, metadata, signal, clock: options.clock });
      return readMessage(istioCa.IstioCertificateResponseSchema, answer).certChain;
    } catch (error) {
      throw explain(error, options.target);
    } finally {
      client.close();
    }
  };
}

interface UnaryCall {
  readonly request: Uint8Array;
  readonly metadata: Metadata;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

function callUnary(client: Client, { request, metadata, signal, clock }: UnaryCall): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const identity = (bytes: Buffer) => bytes;
    const call = client.makeUnaryRequest(
      PATH,
      identity,
      identity,
      Buffer.from(request),
      metadata,
      {},
      (error: ServiceError | null, answer?: Buffer) => {
        timer.cancel();
        signal.removeEventListener('abort', cancel);
        if (error !== null) reject(error);
        else resolve(answer ?? new Uint8Array());
      },
    );
    const cancel = () => call.cancel();
    const timer = clock.schedule(CALL_TIMEOUT_MS, cancel);
    signal.addEventListener('abort', cancel);
  });
}

async function callMetadata(
  options: CaSourceOptions,
  isLocal: boolean,
): Promise<Readonly<Record<string, string>>> {
  if (options.callMetadata !== undefined) return options.callMetadata();
  if (!isLocal) return {};
  const { namespace, serviceAccount } = options.identity;
  return { [NAMESPACE_METADATA]: namespace, [SERVICE_ACCOUNT_METADATA]: serviceAccount };
}

function isLoopbackTarget(target: string): boolean {
  if (target.startsWith('unix:')) return true;
  const address = target.replace(/^(dns|ipv4|ipv6):(\/\/[^/]*\/)?/, '');
  return /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?$/.test(address);
}

/** INVALID_ARGUMENT, PERMISSION_DENIED, FAILED_PRECONDITION, UNIMPLEMENTED, UNAUTHENTICATED: asking again does not help. */
const REFUSALS: ReadonlySet<unknown> = new Set([3, 7, 9, 12, 16]);

function explain(error: unknown, target: string): MeshError {
  const status = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (REFUSALS.has(status)) {
    return new MeshError('INMESH_CA_REFUSED', `the certificate authority refused: ${messageOf(error)}`, {
      resource: target,
      cause: error,
      hint: 'Check the namespace and service account of this workload, and how it proves who it is',
    });
  }
  const message = messageOf(error);
  return new MeshError('INMESH_CA_UNAVAILABLE', `the certificate authority did not answer: ${message}`, {
    resource: target,
    cause: error,
    // It does answer then, and is not believed: of TLS gRPC tells in words only.
    hint: message.includes('certificate')
      ? 'Give the roots that the control plane has now (INMESH_CA_ROOT, root.pem of its data folder), and call it by a name in its certificate'
      : 'Start the control plane (npx inmesh dev), or set its address; the current certificate is used until it expires',
  });
}
