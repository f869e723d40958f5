import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { readMessage } from '../../proto/read-message.js';
import { spiffeWorkload } from '../../proto/xds.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import { createX509Bundle, type X509Bundle } from '../bundle.js';
import { DerReader, DerTag } from '../der.js';
import { type JwtBundle, parseJwtBundle } from '../jwt-bundle.js';
import { type JwtSvid, readOwnJwtSvid } from '../jwt-svid.js';
import { writePem } from '../pem.js';
import { parseSpiffeId, parseTrustDomain } from '../spiffe-id.js';
import { parseX509Svid, type X509Svid } from '../x509-svid.js';

/** An SVID with what its issuer says about its use. */
export interface HintedSvid {
  readonly svid: X509Svid;
  /** Empty when nothing is said. */
  readonly hint: string;
}

/** All that a workload has, as one message tells it. */
export interface X509Context {
  /** At least one; the first is the default. */
  readonly svids: readonly HintedSvid[];
  /** Of the own trust domains and of those federated with, by name. */
  readonly bundles: ReadonlyMap<string, X509Bundle>;
}

/** Reads X509SVIDResponse. One thing wrong with it and the message is refused as a whole (Workload API §4.5). */
export function readX509Context(bytes: Uint8Array): X509Context {
  const response = decode(spiffeWorkload.X509SVIDResponseSchema, bytes);
  if (response.svids.length === 0) throw refused('it holds no SVID');
  const bundles = new Map<string, X509Bundle>();
  for (const [name, der] of Object.entries(response.federatedBundles)) {
    const bundle = readBundle(name, der);
    bundles.set(bundle.trustDomain, bundle);
  }
  const svids: HintedSvid[] = [];
  const hints = new Set<string>();
  for (const message of response.svids) {
    const svid = readSvid(message);
    // What is said of the own trust domain beside its SVID counts more than what stands among the federated ones.
    bundles.set(svid.id.trustDomain, readBundle(svid.id.trustDomain, message.bundle));
    // Workload API §5.2.1: of those with the same hint, the first.
    if (message.hint !== '' && hints.has(message.hint)) continue;
    hints.add(message.hint);
    svids.push({ svid, hint: message.hint });
  }
  return { svids, bundles };
}

/** Reads X509BundlesResponse. */
export function readX509Bundles(bytes: Uint8Array): ReadonlyMap<string, X509Bundle> {
  const { bundles } = decode(spiffeWorkload.X509BundlesResponseSchema, bytes);
  const read = Object.entries(bundles).map(([name, der]) => readBundle(name, der));
  if (read.length === 0) throw refused('it holds no bundle');
  return new Map(read.map((bundle) => [bundle.trustDomain, bundle]));
}

/** Reads JWTBundlesResponse. */
export function readJwtBundles(bytes: Uint8Array): ReadonlyMap<string, JwtBundle> {
  const { bundles } = decode(spiffeWorkload.JWTBundlesResponseSchema, bytes);
  const read = Object.entries(bundles).map(([name, jwks]) => parseJwtBundle(parseTrustDomain(name), jwks));
  if (read.length === 0) throw refused('it holds no bundle');
  return new Map(read.map((bundle) => [bundle.trustDomain, bundle]));
}

/** Reads JWTSVIDResponse: at least one token, the first is the default. */
export function readJwtSvids(bytes: Uint8Array, audience: readonly string[]): readonly JwtSvid[] {
  const { svids } = decode(spiffeWorkload.JWTSVIDResponseSchema, bytes);
  if (svids.length === 0) throw refused('it holds no SVID');
  return svids.map(({ spiffeId, svid: token, hint }) => {
    const svid = readOwnJwtSvid(token, audience, hint);
    if (svid.id.toString() !== spiffeId) throw refused(`a token names ${svid.id} instead of ${spiffeId}`);
    return svid;
  });
}

function readSvid({ spiffeId, x509Svid, x509SvidKey }: spiffeWorkload.X509SVID): X509Svid {
  const id = parseSpiffeId(spiffeId);
  const svid = parseX509Svid(
    certificatesOf(x509Svid).map((der) => writePem(der, 'CERTIFICATE')),
    readKey(x509SvidKey),
  );
  if (!svid.id.equals(id)) throw refused(`a certificate names ${svid.id} instead of ${id}`);
  return svid;
}

function readKey(der: Uint8Array): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
  } catch {
    // No cause: what OpenSSL says of a key it can't read may quote it.
    throw refused('a private key is no unencrypted PKCS #8');
  }
}

function readBundle(trustDomain: string, der: Uint8Array): X509Bundle {
  return createX509Bundle(
    parseTrustDomain(trustDomain),
    certificatesOf(der).map((one) => writePem(one, 'CERTIFICATE')),
  );
}

/** Certificates in DER, one after the other. */
function certificatesOf(bytes: Uint8Array): Uint8Array[] {
  const reader = new DerReader(bytes, (what) => refused(`its certificates are malformed: ${what}`));
  const certificates: Uint8Array[] = [];
  while (!reader.done) certificates.push(reader.next(DerTag.sequence).raw);
  return certificates;
}

/** Decodes a message of the Workload API. */
export function decode<D extends DescMessage>(schema: D, bytes: Uint8Array): MessageShape<D> {
  try {
    return readMessage(schema, bytes);
  } catch (error) {
    throw refused(messageOf(error));
  }
}

function refused(what: string): MeshError {
  return new MeshError('INMESH_SVID_INVALID', `an answer of the Workload API is refused: ${what}`, {
    hint: 'Check what the agent sends: it must follow the SPIFFE Workload API standard',
  });
}
