import { create } from '@bufbuild/protobuf';
import { encodePemSource } from '../../../codec/pem-source.js';
import { meshValidation, servedSecretConfig, workloadSecret } from '../../../codec/tls-certificates.js';
import { packAny } from '../../../proto/any.js';
import { core, tls } from '../../../proto/xds.js';
import type { GatewayServer } from '../../kinds/types.js';
import { gatewaySecrets } from '../credentials.js';

type ServerTls = NonNullable<GatewayServer['tls']>;

const { ACCEPT_UNTRUSTED } = tls.CertificateValidationContext_TrustChainVerification;
const SOCKET = 'envoy.transport_sockets.tls';

/**
 * The TLS of a server that ends it (Istio ServerTLSSettings). Undefined when a certificate or roots are nowhere: a
 * `credentialName` means a Secret in the gateway's own namespace.
 */
export function gatewaySocket(
  settings: ServerTls,
  alpnProtocols: string[],
  isThere: (secret: string) => boolean,
): core.TransportSocket | undefined {
  const context = create(tls.CommonTlsContextSchema, { alpnProtocols, tlsParams: paramsOf(settings) });
  const isMesh = settings.mode === 'ISTIO_MUTUAL';
  if (isMesh) {
    context.tlsCertificateSdsSecretConfigs = [workloadSecret()];
    context.validationContextType = meshValidation({ matchTypedSubjectAltNames: namesOf(settings) });
  } else {
    const { certificates, roots } = gatewaySecrets(settings);
    if (![...certificates, ...(roots === undefined ? [] : [roots])].every(isThere)) return undefined;
    context.tlsCertificateSdsSecretConfigs = certificates.map(servedSecretConfig);
    context.tlsCertificates = certificatesOf(settings);
    if (context.tlsCertificates.length + certificates.length === 0) return undefined;
    const value = validationOf(settings);
    if (value !== undefined) context.validationContextType = validationType(value, roots);
  }
  const message = create(tls.DownstreamTlsContextSchema, {
    commonTlsContext: context,
    requireClientCertificate:
      isMesh || (settings.mode === 'MUTUAL' && settings.gatewayApi?.allowsAnyClient !== true),
  });
  const any = packAny(tls.DownstreamTlsContextSchema, message);
  return create(core.TransportSocketSchema, {
    name: SOCKET,
    configType: { case: 'typedConfig', value: any },
  });
}

/** Names are checked here, roots may come by SDS. */
function validationType(
  value: tls.CertificateValidationContext,
  roots: string | undefined,
): tls.CommonTlsContext['validationContextType'] {
  if (roots === undefined) return { case: 'validationContext', value };
  const combined = create(tls.CommonTlsContext_CombinedCertificateValidationContextSchema, {
    defaultValidationContext: value,
    validationContextSdsSecretConfig: servedSecretConfig(roots),
  });
  return { case: 'combinedValidationContext', value: combined };
}

function certificatesOf({
  serverCertificate,
  privateKey,
  tlsCertificates = [],
}: ServerTls): tls.TlsCertificate[] {
  // Istio: two certificates, for keys of two kinds, are all that are served.
  return [{ serverCertificate, privateKey }, ...tlsCertificates].slice(0, 3).flatMap((one) =>
    one.serverCertificate && one.privateKey
      ? [
          create(tls.TlsCertificateSchema, {
            certificateChain: file(one.serverCertificate),
            privateKey: file(one.privateKey),
          }),
        ]
      : [],
  );
}

function validationOf(settings: ServerTls): tls.CertificateValidationContext | undefined {
  const { mode, caCertificates, tlsCertificates = [], caCrl, gatewayApi } = settings;
  if (mode !== 'MUTUAL' && mode !== 'OPTIONAL_MUTUAL') return undefined;
  const roots = caCertificates || tlsCertificates.find((one) => one.caCertificates)?.caCertificates;
  const context = create(tls.CertificateValidationContextSchema, {
    matchTypedSubjectAltNames: namesOf(settings),
    verifyCertificateSpki: [...(settings.verifyCertificateSpki ?? [])],
    verifyCertificateHash: [...(settings.verifyCertificateHash ?? [])],
  });
  if (roots) context.trustedCa = file(roots);
  if (gatewayApi?.clientRoots !== undefined)
    context.trustedCa = encodePemSource({ kind: 'inline', pem: gatewayApi.clientRoots });
  if (gatewayApi?.allowsAnyClient === true || settings.insecureSkipVerify === true)
    context.trustChainVerification = ACCEPT_UNTRUSTED;
  if (caCrl) context.crl = file(caCrl);
  return context;
}

function namesOf({ subjectAltNames = [] }: ServerTls): tls.SubjectAltNameMatcher[] {
  const { URI, DNS } = tls.SubjectAltNameMatcher_SanType;
  return subjectAltNames.map((value) =>
    create(tls.SubjectAltNameMatcherSchema, {
      sanType: value.includes('://') ? URI : DNS,
      matcher: { matchPattern: { case: 'exact', value } },
    }),
  );
}

/** Istio: TLS 1.2 at least unless the document says otherwise. */
function paramsOf({
  minProtocolVersion,
  maxProtocolVersion,
  cipherSuites = [],
}: ServerTls): tls.TlsParameters {
  const { TLS_AUTO, TLSv1_2 } = tls.TlsParameters_TlsProtocol;
  return create(tls.TlsParametersSchema, {
    tlsMinimumProtocolVersion: minProtocolVersion === undefined ? TLSv1_2 : versionOf(minProtocolVersion),
    tlsMaximumProtocolVersion: maxProtocolVersion === undefined ? TLS_AUTO : versionOf(maxProtocolVersion),
    cipherSuites: [...cipherSuites],
  });
}

function versionOf(name: NonNullable<ServerTls['minProtocolVersion']>): tls.TlsParameters_TlsProtocol {
  const { TLS_AUTO, TLSv1_0, TLSv1_1, TLSv1_2, TLSv1_3 } = tls.TlsParameters_TlsProtocol;
  const versions = { TLS_AUTO, TLSV1_0: TLSv1_0, TLSV1_1: TLSv1_1, TLSV1_2: TLSv1_2, TLSV1_3: TLSv1_3 };
  return versions[name];
}

function file(path: string): core.DataSource {
  return encodePemSource({ kind: 'file', path });
}
