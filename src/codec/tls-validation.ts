import type { StringMatcher } from '../model/matcher.js';
import type { Secret } from '../model/secret.js';
import type { PemSource } from '../model/tls.js';
import { tls } from '../proto/xds.js';
import { isEqual } from '../runtime/equal.js';
import { onlyFields } from './field-guard.js';
import { decodeStringMatcher } from './matcher.js';
import { at, type Path, refuse } from './path.js';
import { decodePemSource } from './pem-source.js';
import { rootsOfInstance, rootsOfSecret, servedSecret, type TrustRoots } from './tls-certificates.js';

/** How the peer's certificate is checked. */
export interface PeerValidation {
  /** Undefined: those of the secret. */
  readonly roots: TrustRoots | undefined;
  /** An SDS secret that is merged over the rest. */
  readonly secret?: string | undefined;
  readonly subjectAltNames: readonly StringMatcher[];
  readonly crl?: PemSource | undefined;
}

const validationFields = onlyFields(() => tls.CertificateValidationContextSchema, {
  enforced: [
    'ca_certificate_provider_instance',
    'system_root_certs',
    'trusted_ca',
    'crl',
    'trust_chain_verification',
    'match_typed_subject_alt_names',
    'match_subject_alt_names',
  ],
});

const combinedFields = onlyFields(() => tls.CommonTlsContext_CombinedCertificateValidationContextSchema, {
  enforced: [
    'default_validation_context',
    'validation_context_sds_secret_config',
    'validation_context_certificate_provider_instance',
  ],
});

const sanFields = onlyFields(() => tls.SubjectAltNameMatcherSchema, { enforced: ['san_type', 'matcher'] });

/** How the peer is validated; undefined when the context does not say. */
export function decodeValidation(context: tls.CommonTlsContext, path: Path): PeerValidation | undefined {
  const { validationContextType: type } = context;
  switch (type.case) {
    case 'validationContext':
      return decodeContext(type.value, at(path, 'validation_context'));
    case 'validationContextSdsSecretConfig': {
      const secret = servedSecret(type.value, at(path, 'validation_context_sds_secret_config'));
      if (secret !== undefined) return { roots: undefined, subjectAltNames: [], secret };
      const roots = rootsOfSecret(type.value, at(path, 'validation_context_sds_secret_config'));
      return { roots, subjectAltNames: [] };
    }
    case 'combinedValidationContext':
      return decodeCombined(type.value, at(path, 'combined_validation_context'));
    case 'validationContextCertificateProviderInstance':
      return {
        roots: rootsOfInstance(type.value, at(path, 'validation_context_certificate_provider_instance')),
        subjectAltNames: [],
      };
    case undefined:
      return undefined;
    default:
      return refuse(at(path, 'validation_context_certificate_provider'), 'is not supported');
  }
}

function decodeContext(context: tls.CertificateValidationContext, path: Path): PeerValidation {
  validationFields(context, path);
  const roots = rootsOfContext(context, path) ?? refuse(path, 'names no roots, so nothing would be verified');
  const subjectAltNames = decodeSubjectAltNames(context, roots, path);
  if (roots === 'none' && subjectAltNames.length > 0) {
    refuse(at(path, 'trust_chain_verification'), 'makes the names of certificates worthless');
  }
  return { roots, subjectAltNames, crl: decodeCrl(context, roots, path) };
}

function decodeCrl(
  { crl }: tls.CertificateValidationContext,
  roots: TrustRoots,
  path: Path,
): PemSource | undefined {
  if (crl === undefined) return undefined;
  // The platform's roots come without a list for each of them, so nothing would be accepted.
  if (typeof roots === 'string') refuse(at(path, 'crl'), 'is not supported without a trusted_ca');
  return decodePemSource(crl, at(path, 'crl'));
}

function rootsOfContext(context: tls.CertificateValidationContext, path: Path): TrustRoots | undefined {
  const { caCertificateProviderInstance: instance, systemRootCerts, trustedCa } = context;
  const given = [instance, systemRootCerts, trustedCa].filter((one) => one !== undefined).length;
  if (systemRootCerts !== undefined && given > 1)
    refuse(at(path, 'system_root_certs'), 'excludes other roots');
  if (given > 1) refuse(at(path, 'trusted_ca'), 'excludes other roots');
  if (acceptsUntrusted(context, path)) {
    if (given > 0) refuse(at(path, 'trust_chain_verification'), 'would not ask the roots that are given');
    return 'none';
  }
  if (instance !== undefined) return rootsOfInstance(instance, at(path, 'ca_certificate_provider_instance'));
  if (trustedCa !== undefined) return decodePemSource(trustedCa, at(path, 'trusted_ca'));
  return systemRootCerts === undefined ? undefined : 'system';
}

function acceptsUntrusted(
  { trustChainVerification: how }: tls.CertificateValidationContext,
  path: Path,
): boolean {
  const { VERIFY_TRUST_CHAIN, ACCEPT_UNTRUSTED } = tls.CertificateValidationContext_TrustChainVerification;
  if (how !== VERIFY_TRUST_CHAIN && how !== ACCEPT_UNTRUSTED) {
    refuse(at(path, 'trust_chain_verification'), `has no value ${String(how)}`);
  }
  return how === ACCEPT_UNTRUSTED;
}

/** Envoy: the secret is merged over the default context, so the default one adds the names to match. */
function decodeCombined(
  combined: tls.CommonTlsContext_CombinedCertificateValidationContext,
  path: Path,
): PeerValidation {
  combinedFields(combined, path);
  const { defaultValidationContext: defaults } = combined;
  const defaultsPath = at(path, 'default_validation_context');
  if (defaults !== undefined) validationFields(defaults, defaultsPath);
  const own = defaults && rootsOfContext(defaults, defaultsPath);
  if (own === 'none') refuse(at(defaultsPath, 'trust_chain_verification'), 'is not supported');
  const secretPath = at(path, 'validation_context_sds_secret_config');
  const secret = servedSecret(combined.validationContextSdsSecretConfig, secretPath);
  if (secret !== undefined) return decodeDefaults(combined, own, { secret, path });
  const given = rootsOfCombined(combined, path);
  if (own !== undefined && given !== undefined && !isEqual(own, given))
    refuse(defaultsPath, 'names other roots than the secret');
  const roots = given ?? own ?? refuse(path, 'names no roots, so nothing would be verified');
  return {
    roots,
    subjectAltNames: defaults ? decodeSubjectAltNames(defaults, roots, defaultsPath) : [],
    crl: defaults && decodeCrl(defaults, roots, defaultsPath),
  };
}

/** Envoy: singular fields of the secret replace those of the default context, lists are joined. */
function decodeDefaults(
  {
    defaultValidationContext: defaults,
    validationContextCertificateProviderInstance: instance,
  }: tls.CommonTlsContext_CombinedCertificateValidationContext,
  roots: TrustRoots | undefined,
  { secret, path }: { readonly secret: string; readonly path: Path },
): PeerValidation {
  const defaultsPath = at(path, 'default_validation_context');
  if (instance !== undefined)
    refuse(at(path, 'validation_context_certificate_provider_instance'), 'excludes a secret');
  if (roots === 'mesh' || roots === 'system') refuse(defaultsPath, 'names other roots than the secret');
  if (defaults === undefined) return { roots, subjectAltNames: [], secret };
  const subjectAltNames = decodeSubjectAltNames(defaults, 'system', defaultsPath);
  const crl = defaults.crl && decodePemSource(defaults.crl, at(defaultsPath, 'crl'));
  return { roots, subjectAltNames, crl, secret };
}

/** A validation context that SDS brings. */
export function decodeValidationSecret(
  context: tls.CertificateValidationContext,
  path: Path,
): Extract<Secret, { kind: 'validation' }> {
  validationFields(context, path);
  const roots = rootsOfContext(context, path);
  if (roots === 'mesh')
    return refuse(at(path, 'ca_certificate_provider_instance'), 'is not supported in a secret');
  const subjectAltNames = decodeSubjectAltNames(context, roots ?? 'system', path);
  if (roots === 'none' && subjectAltNames.length > 0) {
    refuse(at(path, 'trust_chain_verification'), 'makes the names of certificates worthless');
  }
  const crl = context.crl && decodePemSource(context.crl, at(path, 'crl'));
  if (crl !== undefined && typeof roots === 'string')
    refuse(at(path, 'crl'), 'is not supported without a trusted_ca');
  return { kind: 'validation', roots, crl, subjectAltNames };
}

function rootsOfCombined(
  combined: tls.CommonTlsContext_CombinedCertificateValidationContext,
  path: Path,
): TrustRoots | undefined {
  const secret = combined.validationContextSdsSecretConfig;
  const instance = combined.validationContextCertificateProviderInstance;
  const provided =
    instance && rootsOfInstance(instance, at(path, 'validation_context_certificate_provider_instance'));
  if (secret === undefined) return provided;
  const roots = rootsOfSecret(secret, at(path, 'validation_context_sds_secret_config'));
  if (provided !== undefined && !isEqual(roots, provided)) refuse(path, 'names two kinds of roots');
  return roots;
}

/** Mesh peers are named by URIs (SPIFFE), all others by DNS names. */
function decodeSubjectAltNames(
  context: tls.CertificateValidationContext,
  roots: TrustRoots,
  path: Path,
): readonly StringMatcher[] {
  const { matchTypedSubjectAltNames: typed, matchSubjectAltNames: untyped } = context;
  // Envoy: both at once is a configuration error.
  if (typed.length > 0 && untyped.length > 0) {
    refuse(at(path, 'match_subject_alt_names'), 'must not be combined with match_typed_subject_alt_names');
  }
  if (typed.length === 0) {
    return untyped.map((matcher, index) =>
      decodeStringMatcher(matcher, at(path, 'match_subject_alt_names', index)),
    );
  }
  return typed.map((name, index) => decodeSan(name, roots, at(path, 'match_typed_subject_alt_names', index)));
}

function decodeSan(name: tls.SubjectAltNameMatcher, roots: TrustRoots, path: Path): StringMatcher {
  sanFields(name, path);
  const { URI, DNS } = tls.SubjectAltNameMatcher_SanType;
  if (name.sanType !== (roots === 'mesh' ? URI : DNS)) {
    refuse(
      at(path, 'san_type'),
      roots === 'mesh' ? 'must be URI in the mesh' : 'must be DNS outside the mesh',
    );
  }
  if (name.matcher === undefined) return refuse(at(path, 'matcher'), 'is required');
  return decodeStringMatcher(name.matcher, at(path, 'matcher'));
}
