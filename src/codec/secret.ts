import { create, toBinary } from '@bufbuild/protobuf';
import { core, tls } from '../proto/xds.js';

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
