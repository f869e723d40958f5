import { create } from '@bufbuild/protobuf';
import type { StringMatcher } from '../model/matcher.js';
import type { ClientValidation, DownstreamTls, UpstreamTls } from '../model/tls.js';
import { tls } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { encodeStringMatcher } from './matcher.js';
import { at, type Path, refuse, required } from './path.js';
import { encodePemSource } from './pem-source.js';
import {
  decodeCertificate,
  encodeTlsCertificate,
  meshValidation,
  type PresentedCertificate,
  servedSecretConfig,
  workloadSecret,
} from './tls-certificates.js';
import { decodeTlsParams, encodeTlsParams } from './tls-params.js';
import { decodeValidation, type PeerValidation } from './tls-validation.js';

/** Envoy: a server name has at most 255 bytes. */
const MAX_SNI_BYTES = 255;

const upstreamFields = onlyFields(() => tls.UpstreamTlsContextSchema, {
  enforced: ['common_tls_context', 'sni', 'auto_host_sni', 'auto_sni_san_validation'],
  // How many sessions to keep for resumption; sessions are never resumed here.
  ignored: ['max_session_keys'],
});

const downstreamFields = onlyFields(() => tls.DownstreamTlsContextSchema, {
  enforced: [
    'common_tls_context',
    'require_client_certificate',
    // Sessions are never resumed here, so these hold whether they are set or not.
    'disable_stateless_session_resumption',
    'disable_stateful_session_resumption',
  ],
});

const COMMON_FIELDS: readonly string[] = [
  'alpn_protocols',
  'tls_params',
  'tls_certificates',
  'tls_certificate_sds_secret_configs',
  'tls_certificate_provider_instance',
  'tls_certificate_certificate_provider_instance',
  'validation_context',
  'validation_context_sds_secret_config',
  'combined_validation_context',
  'validation_context_certificate_provider_instance',
];

const commonFields = onlyFields(() => tls.CommonTlsContextSchema, { enforced: COMMON_FIELDS });

/** The client side of TLS. */
export function decodeUpstreamTls(message: tls.UpstreamTlsContext, path: Path): UpstreamTls {
  upstreamFields(message, path);
  const commonPath = at(path, 'common_tls_context');
  const common = required(message.commonTlsContext, commonPath);
  commonFields(common, commonPath);
  const certificate = decodeCertificate(common, commonPath);
  const validation =
    decodeValidation(common, commonPath) ??
    refuse(at(commonPath, 'validation_context'), 'is required: without it the server would not be verified');
  const { roots, subjectAltNames } = validation;
  if ((certificate === 'mesh') !== (roots === 'mesh')) {
    refuse(commonPath, 'the workload certificate goes with the roots of the mesh, and only with them');
  }
  if (Buffer.byteLength(message.sni) > MAX_SNI_BYTES) refuse(at(path, 'sni'), 'must have at most 255 bytes');
  const shared = {
    sni: message.sni === '' ? undefined : message.sni,
    subjectAltNames,
    alpn: common.alpnProtocols,
    autoHostSni: message.autoHostSni || undefined,
  };
  if (roots === 'mesh' || certificate === 'mesh') {
    if (common.tlsParams !== undefined) refuse(at(commonPath, 'tls_params'), 'is not supported in the mesh');
    if (message.autoSniSanValidation)
      refuse(at(path, 'auto_sni_san_validation'), 'is not supported in the mesh');
    return { mode: 'mesh', ...shared };
  }
  return {
    mode: 'simple',
    ...shared,
    roots: roots === 'system' ? undefined : roots,
    crl: validation.crl,
    ...decodeSecrets(certificate, validation),
    matchSni: message.autoSniSanValidation || undefined,
    ...(common.tlsParams && decodeTlsParams(common.tlsParams, at(commonPath, 'tls_params'))),
  };
}

function decodeSecrets(
  certificate: Exclude<PresentedCertificate, 'mesh'>,
  { secret: validation }: PeerValidation,
): Pick<UpstreamTls, 'certificate' | 'secrets'> {
  const served = certificate !== undefined && 'secret' in certificate ? certificate.secret : undefined;
  const own = certificate === undefined || 'secret' in certificate ? undefined : certificate;
  if (served === undefined && validation === undefined) return { certificate: own };
  return { certificate: own, secrets: { certificate: served, validation } };
}

/** The server side of TLS. */
export function decodeDownstreamTls(message: tls.DownstreamTlsContext, path: Path): DownstreamTls {
  downstreamFields(message, path);
  const commonPath = at(path, 'common_tls_context');
  const common = required(message.commonTlsContext, commonPath);
  commonFields(common, commonPath);
  const shown = decodeServerCertificate(common, commonPath);
  const requireClientCertificate = message.requireClientCertificate ?? false;
  const clients = decodeClients(common, requireClientCertificate, commonPath);
  const { tlsParams: params } = common;
  const paramsPath = at(commonPath, 'tls_params');
  if (params !== undefined && shown.certificate === undefined && shown.certificateSecret === undefined)
    refuse(paramsPath, 'is not supported in the mesh');
  return {
    requireClientCertificate,
    alpn: common.alpnProtocols,
    ...shown,
    ...(clients && { clients }),
    ...(params && decodeTlsParams(params, paramsPath)),
  };
}

/** What the server shows where that is not the workload's certificate. */
function decodeServerCertificate(
  common: tls.CommonTlsContext,
  path: Path,
): Pick<DownstreamTls, 'certificate' | 'certificateSecret'> {
  const certificate = decodeCertificate(common, path);
  if (certificate === undefined) return refuse(path, 'needs the workload certificate, or one of its own');
  if (certificate === 'mesh') return {};
  return 'secret' in certificate ? { certificateSecret: certificate.secret } : { certificate };
}

function decodeClients(
  common: tls.CommonTlsContext,
  isRequired: boolean,
  path: Path,
): ClientValidation | undefined {
  const validation = decodeValidation(common, path);
  if (validation === undefined) {
    // Envoy would take any certificate then, which proves nothing.
    if (isRequired) refuse(path, 'a required client certificate needs a validation context');
    return undefined;
  }
  const { roots, crl, secret, subjectAltNames } = validation;
  if (roots === 'none')
    return refuse(path, 'does not verify the certificates of clients, so they would prove nothing');
  if (isRequired && roots === 'mesh' && subjectAltNames.length === 0) return undefined;
  return { roots, subjectAltNames, ...(crl && { crl }), ...(secret !== undefined && { secret }) };
}

/**
 * The client side of TLS as a message. `mesh` is written as Istio writes it, by SDS names. The platform's roots are
 * `system_root_certs` (gRFC A82), the one form that can mean nothing else.
 */
export function encodeUpstreamTls(model: UpstreamTls): tls.UpstreamTlsContext {
  const { sni = '', alpn, certificate } = model;
  const common = create(tls.CommonTlsContextSchema, { alpnProtocols: [...alpn] });
  if (model.mode === 'mesh') {
    common.tlsCertificateSdsSecretConfigs = [workloadSecret()];
    common.validationContextType = meshValidation({ matchTypedSubjectAltNames: encodeSans(model) });
  } else {
    common.validationContextType = encodeValidationType(model);
    const { certificate: served } = model.secrets ?? {};
    if (served !== undefined) common.tlsCertificateSdsSecretConfigs = [servedSecretConfig(served)];
    if (certificate !== undefined) common.tlsCertificates = [encodeTlsCertificate(certificate)];
    const params = encodeTlsParams(model);
    if (params !== undefined) common.tlsParams = params;
  }
  return create(tls.UpstreamTlsContextSchema, {
    sni,
    commonTlsContext: common,
    autoHostSni: model.autoHostSni ?? false,
    autoSniSanValidation: model.matchSni ?? false,
  });
}

function encodeValidationType(model: UpstreamTls): tls.CommonTlsContext['validationContextType'] {
  const value = encodeValidation(model);
  const secret = model.secrets?.validation;
  return secret === undefined ? { case: 'validationContext', value } : combinedWith(value, secret);
}

function encodeValidation(model: UpstreamTls): tls.CertificateValidationContext {
  const { roots, crl } = model;
  const message = create(tls.CertificateValidationContextSchema, {
    matchTypedSubjectAltNames: encodeSans(model),
  });
  if (roots === undefined) {
    // With a secret, they are the secret's.
    if (model.secrets?.validation === undefined)
      message.systemRootCerts = create(tls.CertificateValidationContext_SystemRootCertsSchema);
  } else if (roots === 'none') {
    message.trustChainVerification = tls.CertificateValidationContext_TrustChainVerification.ACCEPT_UNTRUSTED;
  } else message.trustedCa = encodePemSource(roots);
  if (crl !== undefined) message.crl = encodePemSource(crl);
  return message;
}

function encodeSans({
  mode,
  subjectAltNames,
}: Pick<UpstreamTls, 'mode' | 'subjectAltNames'>): tls.SubjectAltNameMatcher[] {
  const { URI, DNS } = tls.SubjectAltNameMatcher_SanType;
  const sanType = mode === 'mesh' ? URI : DNS;
  return subjectAltNames.map((matcher: StringMatcher) =>
    create(tls.SubjectAltNameMatcherSchema, { sanType, matcher: encodeStringMatcher(matcher) }),
  );
}

/** The server side of TLS as a message, as Istio writes it. */
export function encodeDownstreamTls({
  requireClientCertificate,
  alpn,
  certificate,
  certificateSecret,
  clients = requireClientCertificate ? MESH_CLIENTS : undefined,
  ...params
}: DownstreamTls): tls.DownstreamTlsContext {
  const common = create(tls.CommonTlsContextSchema, { alpnProtocols: [...alpn] });
  const tlsParams = encodeTlsParams(params);
  if (tlsParams !== undefined) common.tlsParams = tlsParams;
  if (certificate !== undefined) common.tlsCertificates = [encodeTlsCertificate(certificate)];
  else {
    const secret = certificateSecret === undefined ? workloadSecret() : servedSecretConfig(certificateSecret);
    common.tlsCertificateSdsSecretConfigs = [secret];
  }
  if (clients !== undefined) common.validationContextType = encodeClients(clients);
  return create(tls.DownstreamTlsContextSchema, { requireClientCertificate, commonTlsContext: common });
}

const MESH_CLIENTS: ClientValidation = { roots: 'mesh', subjectAltNames: [] };

function encodeClients(clients: ClientValidation): tls.CommonTlsContext['validationContextType'] {
  const { roots, crl, secret, subjectAltNames } = clients;
  const matchTypedSubjectAltNames = encodeSans({
    mode: roots === 'mesh' ? 'mesh' : 'simple',
    subjectAltNames,
  });
  if (roots === 'mesh') return meshValidation({ matchTypedSubjectAltNames });
  const value = create(tls.CertificateValidationContextSchema, { matchTypedSubjectAltNames });
  if (roots === 'system')
    value.systemRootCerts = create(tls.CertificateValidationContext_SystemRootCertsSchema);
  else if (roots !== undefined) value.trustedCa = encodePemSource(roots);
  if (crl !== undefined) value.crl = encodePemSource(crl);
  return secret === undefined ? { case: 'validationContext', value } : combinedWith(value, secret);
}

/** Validation by a secret, and by what the default context demands besides. */
function combinedWith(
  defaults: tls.CertificateValidationContext,
  secret: string,
): tls.CommonTlsContext['validationContextType'] {
  return {
    case: 'combinedValidationContext',
    value: create(tls.CommonTlsContext_CombinedCertificateValidationContextSchema, {
      defaultValidationContext: defaults,
      validationContextSdsSecretConfig: servedSecretConfig(secret),
    }),
  };
}
