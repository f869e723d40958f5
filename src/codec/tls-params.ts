import { create } from '@bufbuild/protobuf';
import type { TlsParams, TlsVersion } from '../model/tls.js';
import { tls } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

const paramsFields = onlyFields(() => tls.TlsParametersSchema, {
  enforced: ['tls_minimum_protocol_version', 'tls_maximum_protocol_version', 'cipher_suites'],
});

const VERSIONS: readonly (TlsVersion | undefined)[] = [undefined, 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

/** A name of OpenSSL; BoringSSL's groups of equal preference (`[A|B]`) have no counterpart there. */
const CIPHER = /^[A-Z0-9-]+$/;

/** Versions and ciphers of TLS. */
export function decodeTlsParams(message: tls.TlsParameters, path: Path): TlsParams {
  paramsFields(message, path);
  const [minPath, maxPath] = [
    at(path, 'tls_minimum_protocol_version'),
    at(path, 'tls_maximum_protocol_version'),
  ];
  const { tlsMinimumProtocolVersion: min, tlsMaximumProtocolVersion: max } = message;
  const { TLS_AUTO, TLSv1_2 } = tls.TlsParameters_TlsProtocol;
  if (!(min in VERSIONS)) refuse(minPath, `has no value ${String(min)}`);
  if (!(max in VERSIONS)) refuse(maxPath, `has no value ${String(max)}`);
  // The smallest version is TLS 1.2 unless another is named.
  const least = min === TLS_AUTO ? TLSv1_2 : min;
  if (max !== TLS_AUTO && max < least) refuse(maxPath, 'is below the smallest version');
  const ciphers = message.cipherSuites;
  ciphers.forEach((cipher, index) => {
    if (!CIPHER.test(cipher)) {
      refuse(at(path, 'cipher_suites', index), `${JSON.stringify(cipher)} is no name of a cipher`);
    }
  });
  return {
    minVersion: VERSIONS[min],
    maxVersion: VERSIONS[max],
    ciphers: ciphers.length === 0 ? undefined : ciphers,
  };
}

/** As a message; undefined when there is nothing to say. */
export function encodeTlsParams({
  minVersion,
  maxVersion,
  ciphers,
}: TlsParams): tls.TlsParameters | undefined {
  if (minVersion === undefined && maxVersion === undefined && ciphers === undefined) return undefined;
  return create(tls.TlsParametersSchema, {
    tlsMinimumProtocolVersion: Math.max(0, VERSIONS.indexOf(minVersion)),
    tlsMaximumProtocolVersion: Math.max(0, VERSIONS.indexOf(maxVersion)),
    cipherSuites: [...(ciphers ?? [])],
  });
}
