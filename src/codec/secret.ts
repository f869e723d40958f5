import { create, toBinary } from '@bufbuild/protobuf';
import type { Secret } from '../model/secret.js';
import { TRUST_SECRET } from '../model/trust.js';
import { core, tls } from '../proto/xds.js';
import { decodeMessage, defineResourceType, type ResourceType } from './codec.js';
import { decodeTextSource } from './data-source.js';
import { onlyFields } from './field-guard.js';
import { encodeStringMatcher } from './matcher.js';
import { at, type Path, refuse } from './path.js';
import { encodePemSource } from './pem-source.js';
import { decodeTlsCertificate, encodeTlsCertificate } from './tls-certificates.js';
import { decodeValidationSecret } from './tls-validation.js';
import { decodeTrust, encodeTrust } from './trust.js';

/** The type of what SDS serves. */
export const SECRET_TYPE_URL = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

/** What a server or client proves itself by. */
export interface CertificateSecret {
  /** PEM, leaf first. */
  readonly chain: string;
  /** PEM of the private key. */
  readonly key: string;
}

/** A secret that holds a certificate with its key. */
export function encodeCertificateSecret(name: string, { chain, key }: CertificateSecret): Uint8Array {
  const value = create(tls.TlsCertificateSchema, {
    certificateChain: inline(chain),
    privateKey: inline(key),
  });
  const secret = create(tls.SecretSchema, { name, type: { case: 'tlsCertificate', value } });
  return toBinary(tls.SecretSchema, secret);
}

/** A secret that holds the roots that peers are verified by, as PEM. */
export function encodeRootsSecret(name: string, roots: string): Uint8Array {
  const value = create(tls.CertificateValidationContextSchema, { trustedCa: inline(roots) });
  const secret = create(tls.SecretSchema, { name, type: { case: 'validationContext', value } });
  return toBinary(tls.SecretSchema, secret);
}

function inline(text: string): core.DataSource {
  return create(core.DataSourceSchema, { specifier: { case: 'inlineBytes', value: Buffer.from(text) } });
}

const secretFields = onlyFields(() => tls.SecretSchema, {
  enforced: ['name', 'tls_certificate', 'validation_context', 'generic_secret'],
});

const genericFields = onlyFields(() => tls.GenericSecretSchema, { enforced: ['secret'] });

function decodeSecret(message: tls.Secret, path: Path): Secret {
  secretFields(message, path);
  const { type } = message;
  switch (type.case) {
    case 'tlsCertificate':
      return {
        kind: 'certificate',
        certificate: decodeTlsCertificate(type.value, at(path, 'tls_certificate')),
      };
    case 'validationContext':
      return decodeValidationSecret(type.value, at(path, 'validation_context'));
    case 'genericSecret':
      return decodeGeneric(message.name, type.value, at(path, 'generic_secret'));
    default:
      return refuse(path, 'must have a tls_certificate or a validation_context');
  }
}

/** Of secrets of any kind, one is known here. */
function decodeGeneric(name: string, message: tls.GenericSecret, path: Path): Secret {
  genericFields(message, path);
  if (name !== TRUST_SECRET) refuse(path, `is known under the name ${TRUST_SECRET} only`);
  const { secret } = message;
  if (secret === undefined) return refuse(at(path, 'secret'), 'is required');
  return { kind: 'trust', trust: decodeTrust(decodeTextSource(secret, at(path, 'secret')), path) };
}

function encodeSecret(name: string, secret: Secret): tls.Secret {
  if (secret.kind === 'trust') {
    const value = create(tls.GenericSecretSchema, { secret: inline(encodeTrust(secret.trust)) });
    return create(tls.SecretSchema, { name, type: { case: 'genericSecret', value } });
  }
  if (secret.kind === 'certificate') {
    const value = encodeTlsCertificate(secret.certificate);
    return create(tls.SecretSchema, { name, type: { case: 'tlsCertificate', value } });
  }
  return create(tls.SecretSchema, {
    name,
    type: { case: 'validationContext', value: encodeContext(secret) },
  });
}

function encodeContext({
  roots,
  crl,
  subjectAltNames,
}: Extract<Secret, { kind: 'validation' }>): tls.CertificateValidationContext {
  const context = create(tls.CertificateValidationContextSchema, {
    matchTypedSubjectAltNames: subjectAltNames.map((matcher) => ({
      sanType: tls.SubjectAltNameMatcher_SanType.DNS,
      matcher: encodeStringMatcher(matcher),
    })),
  });
  if (roots === 'system')
    context.systemRootCerts = create(tls.CertificateValidationContext_SystemRootCertsSchema);
  else if (roots === 'none') {
    context.trustChainVerification = tls.CertificateValidationContext_TrustChainVerification.ACCEPT_UNTRUSTED;
  } else if (roots !== undefined) context.trustedCa = encodePemSource(roots);
  if (crl !== undefined) context.crl = encodePemSource(crl);
  return context;
}

/** SDS. */
export const SECRET: ResourceType<NamedSecretValue> = defineResourceType({
  typeUrl: SECRET_TYPE_URL,
  short: 'SDS',
  complete: false,
  isSecret: true,
  parse: (bytes, path) => decodeMessage(tls.SecretSchema, bytes, path),
  nameOf: ({ name }) => name,
  decode: (message, path) => ({ name: message.name, secret: decodeSecret(message, path) }),
  encode: ({ name, secret }) => toBinary(tls.SecretSchema, encodeSecret(name, secret)),
});

/** A secret with its name. */
export interface NamedSecretValue {
  readonly name: string;
  readonly secret: Secret;
}
