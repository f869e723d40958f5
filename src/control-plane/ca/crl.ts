import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { contextTag, DerReader, DerTag } from '../../identity/der.js';
import { type Der, type DerEncoder, encodeExtension } from '../../identity/der-encode.js';
import type { ReadCertificate } from '../../identity/read-certificate.js';
import { serialText } from '../../identity/revocation.js';
import { isStrongSignature } from '../../identity/strength.js';
import { equalBytes, Oid } from '../../identity/x509.js';
import { MeshError } from '../../runtime/errors.js';
import { keyIdOf } from './encode-certificate.js';

/** Extensions of lists, RFC 5280 §5.2. */
const CRL_NUMBER = '2.5.29.20';
const REASON_CODE = '2.5.29.21';
const INDIRECT = '2.5.29.28';
const DELTA = '2.5.29.27';
const MAX_BYTES = 16 * 1024 * 1024;

/** A certificate that was taken back. */
export interface RevokedCertificate {
  /** Lower-case hexadecimal without leading zeros. */
  readonly serial: string;
  readonly atMs: number;
}

/** What a certificate revocation list says. */
export interface RevocationListFacts {
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly number: number;
  readonly revoked: readonly RevokedCertificate[];
}

/** Who signs a list. */
interface CrlIssuer {
  readonly certificate: ReadCertificate;
  readonly privateKey: KeyObject;
}

/** Encodes and signs a list (X.509 version 2); returns its DER. */
export function encodeCrl(encoder: DerEncoder, issuer: CrlIssuer, facts: RevocationListFacts): Der {
  const { certificate, privateKey } = issuer;
  const algorithm =
    privateKey.asymmetricKeyType === 'rsa'
      ? encoder.sequence(encoder.oid(Oid.sha256WithRsa), encoder.null())
      : encoder.sequence(encoder.oid(Oid.ecdsaWithSha256));
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const keyId = certificate.facts.subjectKeyId ?? keyIdOf(spki);
  const entries = facts.revoked.map(({ serial, atMs }) =>
    encoder.sequence(encoder.integer(bytesOf(serial)), encoder.time(atMs)),
  );
  const extensions = encoder.sequence(
    encodeExtension(
      encoder,
      Oid.authorityKeyIdentifier,
      false,
      encoder.sequence(encoder.tagged(0x80, keyId)),
    ),
    encodeExtension(encoder, CRL_NUMBER, false, encoder.integer(bytesOf(facts.number.toString(16)))),
  );
  const list = encoder.sequence(
    encoder.integer(Uint8Array.of(1)),
    algorithm,
    certificate.facts.subjectDer,
    encoder.time(facts.thisUpdateMs),
    encoder.time(facts.nextUpdateMs),
    // RFC 5280 §5.1.2.6: absent when nothing was revoked.
    ...(entries.length === 0 ? [] : [encoder.sequence(...entries)]),
    encoder.explicit(0, extensions),
  );
  return encoder.sequence(list, algorithm, encoder.bitString(sign('sha256', list, privateKey)));
}

function bytesOf(hex: string): Uint8Array {
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}

/** Who may have signed a list, and when it is looked at. */
export interface CrlCheck {
  readonly issuers: readonly ReadCertificate[];
  readonly nowMs: number;
}

/**
 * Reads a list and checks that one of the issuers signed it, and its dates: refused with INMESH_CRL_INVALID otherwise.
 * Lists of part of the certificates (delta, indirect) are refused: they would be taken for complete.
 */
export function readCrl(der: Uint8Array, { issuers, nowMs }: CrlCheck): RevocationListFacts {
  if (der.length > MAX_BYTES) throw invalid(`it is larger than ${MAX_BYTES} bytes`);
  const whole = new DerReader(der, invalid);
  const signed = whole.enter();
  whole.end();
  const list = signed.next(DerTag.sequence);
  const algorithm = signed.next(DerTag.sequence);
  const signature = signed.bitString();
  signed.end();
  const { facts, issuerDer, innerAlgorithm } = readList(new DerReader(list.content, invalid));
  if (!equalBytes(innerAlgorithm, algorithm.raw)) throw invalid('its two signature algorithms differ');
  const oid = new DerReader(algorithm.content, invalid).oid();
  if (!isStrongSignature(oid) || oid === Oid.ed25519)
    throw invalid('its signature algorithm is not ECDSA or RSA with SHA-2');
  const issuer = issuers.find(
    (one) =>
      equalBytes(one.facts.subjectDer, issuerDer) &&
      verify(HASH_OF[oid] ?? 'sha256', list.raw, one.publicKey, signature.bytes),
  );
  if (issuer === undefined) throw invalid('none of the authorities signed it');
  if (issuer.facts.keyUsage !== undefined && !issuer.facts.keyUsage.has(6))
    throw invalid('its authority may not sign revocation lists (key usage cRLSign)');
  if (facts.thisUpdateMs > nowMs) throw invalid('it is of the future');
  if (facts.nextUpdateMs < nowMs)
    throw invalid(`a newer one is due since ${new Date(facts.nextUpdateMs).toISOString()}`);
  return facts;
}

const HASH_OF: Readonly<Record<string, string>> = {
  [Oid.ecdsaWithSha384]: 'sha384',
  [Oid.sha384WithRsa]: 'sha384',
  [Oid.ecdsaWithSha512]: 'sha512',
  [Oid.sha512WithRsa]: 'sha512',
};

function readList(list: DerReader): {
  readonly facts: RevocationListFacts;
  readonly issuerDer: Uint8Array;
  readonly innerAlgorithm: Uint8Array;
} {
  if (list.smallInteger() !== 1) throw invalid('it is not of version 2');
  const innerAlgorithm = list.next(DerTag.sequence).raw;
  const issuerDer = list.next(DerTag.sequence).raw;
  const thisUpdateMs = readTime(list);
  const nextUpdateMs = readTime(list);
  const revoked: RevokedCertificate[] = [];
  if (list.peek() === DerTag.sequence) {
    const entries = list.enter();
    while (!entries.done) revoked.push(readEntry(entries.enter()));
  }
  const number = list.done ? 0 : readExtensions(list.enter(contextTag(0)));
  list.end();
  return { facts: { thisUpdateMs, nextUpdateMs, number, revoked }, issuerDer, innerAlgorithm };
}

function readEntry(entry: DerReader): RevokedCertificate {
  const serial = serialText(entry.integer());
  const atMs = readTime(entry);
  if (!entry.done) {
    const extensions = entry.enter();
    while (!extensions.done) readExtension(extensions.enter(), [REASON_CODE]);
  }
  entry.end();
  return { serial, atMs };
}

function readExtensions(explicit: DerReader): number {
  const list = explicit.enter();
  explicit.end();
  let number = 0;
  while (!list.done) {
    const { oid, value } = readExtension(list.enter(), [CRL_NUMBER, Oid.authorityKeyIdentifier]);
    if (oid === DELTA || oid === INDIRECT) throw invalid('it is about part of the certificates only');
    if (oid !== CRL_NUMBER) continue;
    const digits = new DerReader(value, invalid).integer();
    number = digits.length > 6 ? Number.MAX_SAFE_INTEGER : digits.reduce((sum, byte) => sum * 256 + byte, 0);
  }
  return number;
}

function readExtension(one: DerReader, known: readonly string[]): { oid: string; value: Uint8Array } {
  const oid = one.oid();
  const isCritical = one.peek() === DerTag.boolean && one.boolean();
  const value = one.next(DerTag.octetString).content;
  one.end();
  if (isCritical && !known.includes(oid)) throw invalid(`it has the critical extension ${oid}, unknown here`);
  return { oid, value };
}

/** RFC 5280 §5.1.2.4: UTCTime or GeneralizedTime, in seconds and UTC. */
function readTime(reader: DerReader): number {
  const { tag, content } = reader.next();
  const text = Buffer.from(content).toString('latin1');
  const match =
    tag === DerTag.utcTime
      ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
      : tag === DerTag.generalizedTime
        ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
        : null;
  if (match === null) throw invalid('one of its times is malformed');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const full = tag === DerTag.utcTime ? year + (year < 50 ? 2000 : 1900) : year;
  return Date.UTC(full, month - 1, day, hour, minute, second);
}

function invalid(what: string): MeshError {
  return new MeshError('INMESH_CRL_INVALID', `the certificate revocation list is refused: ${what}`, {
    hint: 'Supply a complete list (X.509 version 2) of one of the authorities in the bundle, as DER or PEM (X509 CRL)',
  });
}
