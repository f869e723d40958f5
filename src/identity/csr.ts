import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { MeshError } from '../runtime/errors.js';
import { contextTag, DerReader, DerTag } from './der.js';
import { encodeAltNames, loadDerEncoder } from './der-encode.js';
import { writePem } from './pem.js';
import type { SpiffeId } from './spiffe-id.js';
import { weaknessOf } from './strength.js';
import { equalBytes, Oid } from './x509.js';

/** A request with an RSA 4096 key has 2 KB; more is not a request for a workload certificate. */
const MAX_CSR_BYTES = 16 * 1024;
const LABEL = 'CERTIFICATE REQUEST';
const SHAPE =
  /^\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END \1?CERTIFICATE REQUEST-----\s*$/;

const HASHES: ReadonlyMap<string, readonly [hash: string, keyType: string]> = new Map([
  [Oid.ecdsaWithSha256, ['sha256', 'ec']],
  [Oid.ecdsaWithSha384, ['sha384', 'ec']],
  [Oid.ecdsaWithSha512, ['sha512', 'ec']],
  [Oid.sha256WithRsa, ['sha256', 'rsa']],
  [Oid.sha384WithRsa, ['sha384', 'rsa']],
  [Oid.sha512WithRsa, ['sha512', 'rsa']],
]);

/** A fresh ECDSA P-256 key with a signing request for it. */
export interface NewCsr {
  readonly privateKey: KeyObject;
  readonly csrPem: string;
}

/** Makes a key and a PEM signing request that names `id`; the authority decides by its caller, not by this name. */
export async function createCsr(id: SpiffeId): Promise<NewCsr> {
  // 40 us: less than a thread of the pool costs.
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, csrPem: await createCsrFor(id, privateKey) };
}

/** Makes a signing request for an ECDSA key. */
export async function createCsrFor(id: SpiffeId, privateKey: KeyObject): Promise<string> {
  const encoder = await loadDerEncoder();
  const request = encoder.sequence(
    encoder.oid(Oid.extensionRequest),
    encoder.set(encoder.sequence(encodeAltNames(encoder, { uris: [id.toString()] }, true))),
  );
  const info = encoder.sequence(
    encoder.integer(Uint8Array.of(0)),
    encoder.sequence(),
    createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
    encoder.tagged(contextTag(0), request),
  );
  const algorithm = encoder.sequence(encoder.oid(Oid.ecdsaWithSha256));
  const der = encoder.sequence(info, algorithm, encoder.bitString(sign('sha256', info, privateKey)));
  return writePem(der, LABEL);
}

/** What an authority takes from a signing request: the key, and nothing else. */
export interface ReadCsr {
  readonly publicKey: KeyObject;
  readonly spkiDer: Uint8Array;
}

/** Reads a PEM signing request and checks that its sender holds the key; refused with INMESH_CSR_INVALID otherwise. */
export function readCsr(pem: string): ReadCsr {
  if (pem.length > MAX_CSR_BYTES) throw refused(`it is larger than ${MAX_CSR_BYTES} bytes`);
  const body = SHAPE.exec(pem)?.[2];
  if (body === undefined) throw refused(`it is not one PEM block ${LABEL}`);
  const whole = new DerReader(Buffer.from(body, 'base64'), refused);
  const request = whole.enter();
  whole.end();
  const info = request.next(DerTag.sequence);
  const algorithm = request.enter();
  const oid = algorithm.oid();
  if (!algorithm.done) algorithm.next(DerTag.null);
  algorithm.end();
  const signature = request.bitString();
  request.end();
  const spkiDer = readInfo(new DerReader(info.content, refused));
  const publicKey = readKey(spkiDer);
  const [hash, keyType] = HASHES.get(oid) ?? [];
  if (hash === undefined || publicKey.asymmetricKeyType !== keyType) {
    throw refused('its signature algorithm is not ECDSA or RSA with SHA-2, or is not that of its key');
  }
  const isSigned = signature.unusedBits === 0 && verify(hash, info.raw, publicKey, signature.bytes);
  if (!isSigned) throw refused('its signature is wrong, so its sender may not hold the key');
  return { publicKey, spkiDer };
}

/** Checks the shape of CertificationRequestInfo (RFC 2986 §4.1) and returns its key; names and attributes are ignored. */
function readInfo(info: DerReader): Uint8Array {
  if (info.smallInteger() !== 0) throw refused('its version is not 1');
  info.next(DerTag.sequence);
  const spkiDer = info.next(DerTag.sequence).raw;
  const attributes = info.enter(contextTag(0));
  while (!attributes.done) attributes.next(DerTag.sequence);
  info.end();
  return spkiDer;
}

function readKey(spkiDer: Uint8Array): KeyObject {
  let key: KeyObject;
  try {
    const usual = readP256(spkiDer);
    if (usual !== undefined) return usual;
    key = createPublicKey({ key: Buffer.from(spkiDer), format: 'der', type: 'spki' });
  } catch (error) {
    throw refused('its public key cannot be read', error);
  }
  const weakness = weaknessOf(key);
  if (weakness !== undefined) throw refused(weakness);
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) > 4096)
    throw refused('its RSA key has more than 4096 bits');
  // The bytes go into the certificate as they are, so they must be the one usual spelling of this key.
  if (!equalBytes(key.export({ type: 'spki', format: 'der' }), spkiDer)) {
    throw refused('its public key is not in its usual encoding');
  }
  return key;
}

/** What comes before the two coordinates of a P-256 key in its one usual encoding. */
const P256_HEAD = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');

/**
 * A P-256 key in its usual encoding, without OpenSSL's decoder, which costs more than the rest of a request. That the
 * point is on the curve is checked all the same.
 */
function readP256(spkiDer: Uint8Array): KeyObject | undefined {
  const head = P256_HEAD.length;
  if (spkiDer.length !== head + 64 || !equalBytes(spkiDer.subarray(0, head), P256_HEAD)) return undefined;
  const part = (from: number) => Buffer.from(spkiDer.subarray(from, from + 32)).toString('base64url');
  const key = { kty: 'EC', crv: 'P-256', x: part(head), y: part(head + 32) };
  return createPublicKey({ key, format: 'jwk' });
}

function refused(what: string, cause?: unknown): MeshError {
  return new MeshError('INMESH_CSR_INVALID', `the certificate signing request was refused: ${what}`, {
    cause,
    hint: 'Send one PKCS #10 request in PEM with an ECDSA P-256 or RSA 2048 key, signed with SHA-256',
  });
}
