import { readMessage } from '../proto/read-message.js';
import { type core, tls } from '../proto/xds.js';
import { MeshError } from '../runtime/errors.js';
import { createX509Bundle, type X509Bundle } from './bundle.js';
import { parseTrustDomain } from './spiffe-id.js';
import { parseX509Svid, type X509Svid } from './x509-svid.js';

/** Roots as an agent sends them. */
export type SdsRoots =
  /** PEM of those of the own trust domain. */
  | { readonly kind: 'own'; readonly pem: string }
  /** By trust domain, from the configuration of Envoy's SPIFFE validator. */
  | { readonly kind: 'many'; readonly bundles: ReadonlyMap<string, X509Bundle> };

const VALIDATOR = 'envoy.tls.cert_validator.spiffe';

/** The SVID of a secret with certificate and key. */
export function readSvidSecret({ name, type }: tls.Secret): X509Svid {
  if (type.case !== 'tlsCertificate') throw refused(name, 'it holds no certificate');
  const { certificateChain, privateKey, password } = type.value;
  if (password !== undefined) throw refused(name, 'its key is encrypted');
  return parseX509Svid(textOf(name, certificateChain), textOf(name, privateKey));
}

/** The roots of a secret with what verifies peers. */
export function readRootsSecret({ name, type }: tls.Secret): SdsRoots {
  if (type.case !== 'validationContext') throw refused(name, 'it holds no roots');
  const { customValidatorConfig: custom, trustedCa } = type.value;
  if (custom === undefined) return { kind: 'own', pem: rootsOf(name, trustedCa) };
  if (custom.name !== VALIDATOR || custom.typedConfig === undefined)
    throw refused(name, `its validator ${JSON.stringify(custom.name)} is unknown here`);
  const config = readMessage(tls.SPIFFECertValidatorConfigSchema, custom.typedConfig.value);
  const bundles = new Map<string, X509Bundle>();
  for (const { name: domain, trustBundle } of config.trustDomains) {
    const trustDomain = parseTrustDomain(domain);
    // Envoy: the same trust domain twice is an error.
    if (bundles.has(trustDomain)) throw refused(name, `it has the trust domain ${trustDomain} twice`);
    bundles.set(trustDomain, createX509Bundle(trustDomain, rootsOf(name, trustBundle)));
  }
  return { kind: 'many', bundles };
}

/** Roots that hold: text without any would be taken for the withdrawal of all. */
function rootsOf(name: string, source: core.DataSource | undefined): string {
  const pem = textOf(name, source);
  if (createX509Bundle('any', pem).certificates.length === 0) throw refused(name, 'it has no root');
  return pem;
}

/** What stands in the message itself: an agent's files are its own. */
function textOf(name: string, source: core.DataSource | undefined): string {
  const { specifier } = source ?? {};
  if (specifier?.case === 'inlineString') return specifier.value;
  if (specifier?.case === 'inlineBytes') return Buffer.from(specifier.value).toString('utf8');
  throw refused(name, 'a part of it does not stand in the message');
}

function refused(name: string, what: string): MeshError {
  return new MeshError('INMESH_SVID_INVALID', `the secret is refused: ${what}`, {
    resource: `secret ${name}`,
    hint: 'Check the names of the secrets, and that the agent sends certificates, keys and roots inline, as PEM',
  });
}
