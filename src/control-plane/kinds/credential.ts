import type { SecretContent } from './secret-schema.js';

/** What a Secret holds for TLS, as PEM; Istio's names and those of Kubernetes (`kubernetes.io/tls`). */
export interface Credential {
  readonly chain: string | undefined;
  readonly key: string | undefined;
  readonly roots: string | undefined;
  readonly crl: string | undefined;
}

/** The keys of a Secret by which each part goes; the first that is there counts (Istio). */
export const CREDENTIAL_KEYS: { readonly [Part in keyof Credential]: readonly string[] } = {
  chain: ['cert', 'tls.crt'],
  key: ['key', 'tls.key'],
  roots: ['cacert', 'ca.crt'],
  crl: ['crl', 'ca.crl'],
};

/** Reads what a Secret holds for TLS. */
export function credentialOf(content: SecretContent): Credential {
  const part = (name: keyof Credential) =>
    CREDENTIAL_KEYS[name]
      .map((key) => textAt(content, key))
      .find((text) => text !== undefined && text !== '');
  return { chain: part('chain'), key: part('key'), roots: part('roots'), crl: part('crl') };
}

/** The text under a key; undefined when there is none, or it is no base64. */
export function textAt({ data = {}, stringData = {} }: SecretContent, key: string): string | undefined {
  if (Object.hasOwn(stringData, key)) return stringData[key]?.reveal();
  const encoded = Object.hasOwn(data, key) ? data[key]?.reveal() : undefined;
  return encoded === undefined || !isBase64(encoded) ? undefined : Buffer.from(encoded, 'base64').toString();
}

/** Whether it is base64 (RFC 4648 §4); line breaks do no harm. */
export function isBase64(text: string): boolean {
  const bare = text.replaceAll(/\s/g, '');
  return bare.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(bare);
}

/**
 * Istio's names of Secrets of any namespace. Documents can't write them, as what they name is put behind the other scheme:
 * only references that a ReferenceGrant allows become such names.
 */
export const API_SCHEME = 'kubernetes-gateway://';

/** Under which name SDS has the certificate of a listener of the Gateway API. */
export function apiCertificateSecret(namespace: string, name: string): string {
  return `${API_SCHEME}${namespace}/${name}`;
}
