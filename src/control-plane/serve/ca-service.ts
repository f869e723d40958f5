import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { handleUnaryCall, ServiceDefinition } from '@grpc/grpc-js';
import { istioCa } from '../../proto/xds.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { Authenticator } from '../ca/authenticate.js';
import type { CertificateAuthority } from '../ca/certificate-authority.js';
import { handleCreateCertificate } from '../ca/create-certificate.js';
import type { CallerIdentity } from './caller.js';

const STATUS_INVALID_ARGUMENT = 3;
const STATUS_UNAUTHENTICATED = 16;

export interface CaServiceOptions {
  readonly authority: CertificateAuthority;
  readonly authenticate: Authenticator;
  readonly callerOf: (peer: string) => CallerIdentity | undefined;
  readonly logger: Logger;
}

/** `istio.v1.auth.IstioCertificateService`, as Istio's agents call it. */
export interface CaService {
  readonly definition: ServiceDefinition;
  readonly implementation: { readonly CreateCertificate: handleUnaryCall<Buffer, Buffer> };
}

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

export function createCaService({ authority, authenticate, callerOf, logger }: CaServiceOptions): CaService {
  const answer = (request: Buffer, peer: string, metadata: (name: string) => string | undefined): Buffer => {
    const { csr, validityDuration } = fromBinary(istioCa.IstioCertificateRequestSchema, request);
    const caller = authenticate({
      peerAddress: peer,
      metadata,
      peerCertificate: callerOf(peer)?.certificate,
    });
    const issued = handleCreateCertificate(
      authority,
      { csr, validityDurationSeconds: validityDuration },
      caller,
    );
    const message = create(istioCa.IstioCertificateResponseSchema, { certChain: issued.certChain });
    return Buffer.from(toBinary(istioCa.IstioCertificateResponseSchema, message));
  };
  return {
    definition: DEFINITION,
    implementation: {
      CreateCertificate: (call, callback) => {
        const peer = call.getPeer();
        const metadata = (name: string) => call.metadata.get(name)[0]?.toString();
        try {
          callback(null, answer(call.request, peer, metadata));
        } catch (error) {
          logger.warn({ peer, error: messageOf(error) }, 'no certificate was issued');
          const refused = MeshError.is(error) && error.code === 'INMESH_CA_REFUSED';
          const code: number = refused ? STATUS_UNAUTHENTICATED : STATUS_INVALID_ARGUMENT;
          callback({ code, details: messageOf(error) });
        }
      },
    },
  };
}
