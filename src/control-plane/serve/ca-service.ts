import { create, type JsonObject, toBinary } from '@bufbuild/protobuf';
import type { handleUnaryCall, ServerUnaryCall, ServiceDefinition, sendUnaryData } from '@grpc/grpc-js';
import { INSTANCE_METADATA } from '../../identity/caller-metadata.js';
import { readMessage } from '../../proto/read-message.js';
import { istioCa } from '../../proto/xds.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { AuditLog } from '../audit/audit-log.js';
import { type Authenticator, type Identity, UNAUTHENTICATED } from '../ca/authenticate.js';
import type { CertificateAuthority } from '../ca/certificate-authority.js';
import { handleCreateCertificate } from '../ca/create-certificate.js';
import { onlyValue } from './access.js';
import type { CallerIdentity } from './caller.js';

const STATUS_INVALID_ARGUMENT = 3;
const STATUS_UNAVAILABLE = 14;
const STATUS_UNAUTHENTICATED = 16;
const MAX_NAME = 1024;
/** A signing request with room to spare: RSA 8192 takes 4 KiB. */
const MAX_REQUEST_BYTES = 64 * 1024;

export interface CaServiceOptions {
  readonly authority: CertificateAuthority;
  readonly authenticate: Authenticator;
  readonly callerOf: (peer: string) => CallerIdentity | undefined;
  readonly audit: AuditLog;
  readonly logger: Logger;
}

/** `istio.v1.auth.IstioCertificateService`, as Istio's agents call it. */
export interface CaService {
  readonly definition: ServiceDefinition;
  readonly implementation: { readonly CreateCertificate: handleUnaryCall<Buffer, Buffer> };
}

type Call = ServerUnaryCall<Buffer, Buffer>;

const identity = (bytes: Buffer) => bytes;

const DEFINITION: ServiceDefinition = {
  CreateCertificate: {
    path: '/istio.v1.auth.IstioCertificateService/CreateCertificate',
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};

export function createCaService(options: CaServiceOptions): CaService {
  return {
    definition: DEFINITION,
    implementation: {
      CreateCertificate: (call, callback) => {
        void settle(call, options, callback);
      },
    },
  };
}

/** Answers in any case. */
async function settle(call: Call, options: CaServiceOptions, callback: sendUnaryData<Buffer>): Promise<void> {
  try {
    callback(null, await answer(call, options));
  } catch (error) {
    const peer = call.getPeer();
    const reason = messageOf(error);
    options.logger.warn({ peer, error: reason }, 'no certificate was issued');
    options.audit.note({ action: 'certificate.issue', outcome: 'refused', peer, reason });
    callback(statusOf(error));
  }
}

async function answer(call: Call, options: CaServiceOptions): Promise<Buffer> {
  if (call.request.length > MAX_REQUEST_BYTES) {
    throw new MeshError('INMESH_CSR_INVALID', `the request has more than ${MAX_REQUEST_BYTES} bytes`);
  }
  const request = readMessage(istioCa.IstioCertificateRequestSchema, call.request);
  const caller = await identify(call, options);
  const peer = call.getPeer();
  const { certChain, issued } = await handleCreateCertificate(
    options.authority,
    {
      csr: request.csr,
      validityDurationSeconds: request.validityDuration,
      certSigner: certSignerOf(request.metadata),
    },
    { caller, peer, instance: instanceOf(onlyValue(call.metadata, INSTANCE_METADATA)) },
  );
  // Nothing leaves that is not written down.
  await options.audit.record({
    action: 'certificate.issue',
    outcome: 'allowed',
    actor: caller?.id.toString(),
    authenticator: caller?.authenticator,
    peer,
    target: caller?.id.toString(),
    details: { serial: issued.serial, notAfter: new Date(issued.notAfterMs).toISOString() },
  });
  const message = create(istioCa.IstioCertificateResponseSchema, { certChain });
  return Buffer.from(toBinary(istioCa.IstioCertificateResponseSchema, message));
}

/** Istio: which of several signers is meant (`metadata.CertSigner`, ISTIO_META_CERT_SIGNER of the agent). */
function certSignerOf(metadata: JsonObject | undefined): string | undefined {
  const signer = metadata?.['CertSigner'];
  return typeof signer === 'string' && signer !== '' ? signer.slice(0, MAX_NAME) : undefined;
}

function instanceOf(text: string | undefined): string | undefined {
  if (text === undefined || text.length > MAX_NAME) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

async function identify(
  call: Call,
  { authenticate, callerOf }: CaServiceOptions,
): Promise<Identity | undefined> {
  const peer = call.getPeer();
  try {
    return await authenticate({
      peerAddress: peer,
      metadata: (name) => onlyValue(call.metadata, name),
      peerCertificate: callerOf(peer)?.certificate,
    });
  } catch (cause) {
    throw new MeshError('INMESH_CA_REFUSED', UNAUTHENTICATED, { cause });
  }
}

/** Why an authenticator refused stays here: a caller could learn from it which tokens exist. */
function statusOf(error: unknown): { readonly code: number; readonly details: string } {
  const isRefused = MeshError.is(error) && error.code === 'INMESH_CA_REFUSED';
  return { code: codeFor(error), details: isRefused ? error.message : messageOf(error) };
}

/** What passes by itself is UNAVAILABLE: agents ask again, and other clients ask the next authority. */
function codeFor(error: unknown): number {
  if (!MeshError.is(error)) return STATUS_INVALID_ARGUMENT;
  switch (error.code) {
    case 'INMESH_CA_REFUSED':
      return STATUS_UNAUTHENTICATED;
    case 'INMESH_CA_UNAVAILABLE':
    case 'INMESH_CA_UNFIT':
    case 'INMESH_CERTIFICATE_EXPIRED':
    case 'INMESH_STORE_WRITE':
      return STATUS_UNAVAILABLE;
    default:
      return STATUS_INVALID_ARGUMENT;
  }
}
