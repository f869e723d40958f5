import { create } from '@bufbuild/protobuf';
import type { StringMatcher } from '../model/matcher.js';
import { packAny } from '../proto/any.js';
import { core, type matcher, tls } from '../proto/xds.js';
import { encodeStringMatcher } from './matcher.js';

// gRPC takes certificates from providers that its bootstrap file names (gRFC A29), never by SDS. As Istio writes them:
// one provider, `default`, in the older and the newer fields, since clients read either.

const SOCKET = 'envoy.transport_sockets.tls';
const PROVIDER = 'default';
const CERTIFICATE = { instanceName: PROVIDER, certificateName: 'default' };
const ROOTS = { instanceName: PROVIDER, certificateName: 'ROOTCA' };

/** The client's side of mesh mTLS for gRPC clients. */
export function grpcClientSocket(names: readonly StringMatcher[]): core.TransportSocket {
  const context = create(tls.UpstreamTlsContextSchema, {
    commonTlsContext: commonContext(names.map(encodeStringMatcher)),
  });
  return socketOf(packAny(tls.UpstreamTlsContextSchema, context));
}

/** The server's side of mesh mTLS for gRPC servers. */
export function grpcServerSocket(requireClientCertificate: boolean): core.TransportSocket {
  const context = create(tls.DownstreamTlsContextSchema, {
    commonTlsContext: commonContext([]),
    requireClientCertificate,
  });
  return socketOf(packAny(tls.DownstreamTlsContextSchema, context));
}

function commonContext(matchSubjectAltNames: matcher.StringMatcher[]): tls.CommonTlsContext {
  return create(tls.CommonTlsContextSchema, {
    tlsCertificateProviderInstance: CERTIFICATE,
    tlsCertificateCertificateProviderInstance: CERTIFICATE,
    validationContextType: {
      case: 'combinedValidationContext',
      value: create(tls.CommonTlsContext_CombinedCertificateValidationContextSchema, {
        validationContextCertificateProviderInstance: ROOTS,
        defaultValidationContext: { caCertificateProviderInstance: ROOTS, matchSubjectAltNames },
      }),
    },
  });
}

function socketOf(value: ReturnType<typeof packAny>): core.TransportSocket {
  return create(core.TransportSocketSchema, { name: SOCKET, configType: { case: 'typedConfig', value } });
}
