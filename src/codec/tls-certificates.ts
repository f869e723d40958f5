import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { ProvidedFiles } from '../model/custom-filter.js';
import type { ClientCertificate, PemSource } from '../model/tls.js';
import { tls } from '../proto/xds.js';
import { adsSource, checkConfigSource } from './config-source.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';
import { decodePemSource, encodePemSource } from './pem-source.js';

/**
 * What stands behind a TLS context. The workload's own certificate and the mesh's bundle come from the identity source,
 * never from the wire, so a context may only name them: as SDS secrets (Envoy and Istio: `default` and `ROOTCA`) or as
 * an instance of gRPC's certificate providers (gRFC A29): `default`, or what the bootstrap says. Other instances hold files.
 */
const WORKLOAD_SECRET = 'default';
const MESH_ROOTS_SECRET = 'ROOTCA';
/** Istio's name for the roots of the operating system. */
const SYSTEM_ROOTS_SECRET = 'file-root:system';
const PROVIDER_INSTANCE = 'default';

/** Istio's names for files: `file-cert:CHAIN~KEY` and `file-root:ROOTS`. */
const FILE_CERTIFICATE = 'file-cert:';
const FILE_ROOTS = 'file-root:';

/** Whose signatures are trusted: the mesh's bundle, the roots of the platform, a file's, or anybody's. */
export type TrustRoots = 'mesh' | 'system' | 'none' | PemSource;

/** A secret that the control plane serves (SDS). */
export interface NamedSecret {
  readonly secret: string;
}

/** What a context presents: the workload's certificate, one of its own, one that SDS brings, or none. */
export type PresentedCertificate = 'mesh' | ClientCertificate | NamedSecret | undefined;

const secretFields = onlyFields(() => tls.SdsSecretConfigSchema, {
  enforced: ['name'],
  // Where Envoy would fetch the secret. Ours comes from the identity source whatever stands here.
  ignored: ['sds_config'],
});

const servedFields = onlyFields(() => tls.SdsSecretConfigSchema, { enforced: ['name', 'sds_config'] });

/** The secret's name, when it is neither the workload's identity nor a file, and so is to be asked for. */
export function servedSecret(config: tls.SdsSecretConfig | undefined, path: Path): string | undefined {
  if (config === undefined || isOwn(config.name)) return undefined;
  servedFields(config, path);
  checkConfigSource(config.sdsConfig, at(path, 'sds_config'));
  return config.name;
}

function isOwn(name: string): boolean {
  const isIdentity = name === '' || name === WORKLOAD_SECRET || name === MESH_ROOTS_SECRET;
  return isIdentity || name.startsWith(FILE_CERTIFICATE) || name.startsWith(FILE_ROOTS);
}

const certificateFields = onlyFields(() => tls.TlsCertificateSchema, {
  enforced: ['certificate_chain', 'private_key', 'password'],
  // Files are looked at for changes wherever they are.
  ignored: ['watched_directory'],
});

/** What a context presents. */
export function decodeCertificate(context: tls.CommonTlsContext, path: Path): PresentedCertificate {
  const [secret] = context.tlsCertificateSdsSecretConfigs;
  const [given, ...more] = context.tlsCertificates;
  if (more.length > 0) refuse(at(path, 'tls_certificates'), 'may have one entry');
  const secretPath = at(path, 'tls_certificate_sds_secret_configs', 0);
  const served = servedSecret(secret, secretPath);
  if (served !== undefined) {
    checkOnlySecret(context, secretPath);
    return { secret: served };
  }
  if (secret?.name.startsWith(FILE_CERTIFICATE) === true) {
    checkOnlySecret(context, secretPath);
    return fileCertificate(secret, secretPath);
  }
  const provided = providedCertificate(context, path);
  const hasOwn = provided === undefined && hasWorkloadCertificate(context, path);
  if (given === undefined) return provided ?? (hasOwn ? 'mesh' : undefined);
  if (hasOwn || provided !== undefined) refuse(at(path, 'tls_certificates'), 'excludes other certificates');
  return decodeTlsCertificate(given, at(path, 'tls_certificates', 0));
}

function checkOnlySecret(context: tls.CommonTlsContext, path: Path): void {
  const { tlsCertificateProviderInstance: instance, tlsCertificateCertificateProviderInstance: older } =
    context;
  const [given] = context.tlsCertificates;
  if ((given ?? instance ?? older) !== undefined || context.tlsCertificateSdsSecretConfigs.length > 1)
    refuse(path, 'excludes other certificates');
}

function fileCertificate(secret: tls.SdsSecretConfig, path: Path): ClientCertificate {
  secretFields(secret, path);
  const [chain, key, ...rest] = secret.name.slice(FILE_CERTIFICATE.length).split('~');
  if (!chain || !key || rest.length > 0) return refuse(at(path, 'name'), 'must be file-cert:CHAIN~KEY');
  return { chain: { kind: 'file', path: chain }, key: { kind: 'file', path: key }, password: undefined };
}

/** A certificate with its key. */
export function decodeTlsCertificate(message: tls.TlsCertificate, path: Path): ClientCertificate {
  certificateFields(message, path);
  const { certificateChain, privateKey, password } = message;
  const [chainPath, keyPath] = [at(path, 'certificate_chain'), at(path, 'private_key')];
  return {
    chain: decodePemSource(required(certificateChain, chainPath), chainPath),
    key: decodePemSource(required(privateKey, keyPath), keyPath),
    password: password && decodePemSource(password, at(path, 'password')),
  };
}

/** The certificate of a provider that is not the workload's identity. */
function providedCertificate(
  {
    tlsCertificateProviderInstance: instance,
    tlsCertificateCertificateProviderInstance: older,
    tlsCertificateSdsSecretConfigs: { length: secrets },
  }: tls.CommonTlsContext,
  path: Path,
): ClientCertificate | undefined {
  const where = at(
    path,
    instance === undefined
      ? 'tls_certificate_certificate_provider_instance'
      : 'tls_certificate_provider_instance',
  );
  const named = instance ?? older;
  const held = named && findInstance(named, where);
  if (held === undefined || held === 'mesh') return undefined;
  if (secrets > 0) refuse(where, 'excludes other certificates');
  return held.certificate ?? refuse(at(where, 'instance_name'), 'names a provider that has no certificate');
}

/** Whether the context presents the workload's certificate; refuses any other certificate. */
function hasWorkloadCertificate(context: tls.CommonTlsContext, path: Path): boolean {
  const secrets = context.tlsCertificateSdsSecretConfigs;
  secrets.forEach((secret, index) => {
    checkSecret(secret, WORKLOAD_SECRET, at(path, 'tls_certificate_sds_secret_configs', index));
  });
  if (secrets.length > 1) refuse(at(path, 'tls_certificate_sds_secret_configs'), 'may have one entry');
  const { tlsCertificateProviderInstance: instance, tlsCertificateCertificateProviderInstance: older } =
    context;
  if (instance !== undefined) checkInstance(instance, at(path, 'tls_certificate_provider_instance'));
  if (older !== undefined) checkInstance(older, at(path, 'tls_certificate_certificate_provider_instance'));
  return secrets.length > 0 || instance !== undefined || older !== undefined;
}

function checkSecret(secret: tls.SdsSecretConfig, name: string, path: Path): void {
  secretFields(secret, path);
  if (secret.name !== name) {
    refuse(
      at(path, 'name'),
      `the secret ${JSON.stringify(secret.name)} is not supported; only ${JSON.stringify(name)}`,
    );
  }
}

/** The roots that a secret names. */
export function rootsOfSecret(secret: tls.SdsSecretConfig, path: Path): TrustRoots {
  if (secret.name === SYSTEM_ROOTS_SECRET) {
    secretFields(secret, path);
    return 'system';
  }
  if (secret.name.startsWith(FILE_ROOTS)) {
    secretFields(secret, path);
    const file = secret.name.slice(FILE_ROOTS.length);
    return file === '' ? refuse(at(path, 'name'), 'must be file-root:FILE') : { kind: 'file', path: file };
  }
  checkSecret(secret, MESH_ROOTS_SECRET, path);
  return 'mesh';
}

interface ProviderInstance {
  readonly instanceName: string;
  readonly certificateName: string;
}

/** Refuses a certificate provider instance that holds anything but the workload's identity. */
function checkInstance(instance: ProviderInstance, path: Path): void {
  if (findInstance(instance, path) !== 'mesh')
    refuse(at(path, 'instance_name'), 'names a provider that is not the identity of this workload');
}

/** The roots of a certificate provider. */
export function rootsOfInstance(instance: ProviderInstance, path: Path): 'mesh' | PemSource {
  const held = findInstance(instance, path);
  if (held === 'mesh') return held;
  return held.roots ?? refuse(at(path, 'instance_name'), 'names a provider that has no roots');
}

/** What an instance holds; refuses one that is not configured here. */
function findInstance(
  { instanceName, certificateName }: ProviderInstance,
  path: Path,
): 'mesh' | ProvidedFiles {
  const held =
    path.custom?.providers?.get(instanceName) ?? (instanceName === PROVIDER_INSTANCE ? 'mesh' : undefined);
  if (held === undefined) {
    return refuse(
      at(path, 'instance_name'),
      `the certificate provider ${JSON.stringify(instanceName)} is not supported`,
    );
  }
  // One provider holds one certificate and one bundle; Istio names them, gRPC leaves the name empty.
  if (!['', WORKLOAD_SECRET, MESH_ROOTS_SECRET].includes(certificateName)) {
    refuse(
      at(path, 'certificate_name'),
      `the certificate ${JSON.stringify(certificateName)} is not supported`,
    );
  }
  return held;
}

/** A certificate as a message. */
export function encodeTlsCertificate({ chain, key, password }: ClientCertificate): tls.TlsCertificate {
  const message = create(tls.TlsCertificateSchema, {
    certificateChain: encodePemSource(chain),
    privateKey: encodePemSource(key),
  });
  if (password !== undefined) message.password = encodePemSource(password);
  return message;
}

/** The name of a secret that is to be asked for. */
export function servedSecretConfig(name: string): tls.SdsSecretConfig {
  return create(tls.SdsSecretConfigSchema, { name, sdsConfig: adsSource() });
}

/** The name of the workload's certificate. */
export function workloadSecret(): tls.SdsSecretConfig {
  return create(tls.SdsSecretConfigSchema, { name: WORKLOAD_SECRET, sdsConfig: adsSource() });
}

/** Validation against the mesh's bundle, and by what the default context demands besides. */
export function meshValidation(
  defaults: MessageInitShape<typeof tls.CertificateValidationContextSchema>,
): tls.CommonTlsContext['validationContextType'] {
  const value = create(tls.CommonTlsContext_CombinedCertificateValidationContextSchema, {
    defaultValidationContext: defaults,
    validationContextSdsSecretConfig: { name: MESH_ROOTS_SECRET, sdsConfig: adsSource() },
  });
  return { case: 'combinedValidationContext', value };
}
