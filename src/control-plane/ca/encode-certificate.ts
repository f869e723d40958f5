import { createHash, type KeyObject, sign } from 'node:crypto';
import { DerReader } from '../../identity/der.js';
import {
  type AltNames,
  type Der,
  type DerEncoder,
  encodeAltNames,
  encodeExtension,
} from '../../identity/der-encode.js';
import { KeyUsageBit, Oid } from '../../identity/x509.js';

/** A SEQUENCE of nothing. */
const EMPTY_NAME_BYTES = 2;

/** Everything that a certificate says. */
export interface CertificateTemplate {
  /** Big-endian, positive. */
  readonly serial: Uint8Array;
  /** Names as DER; see {@link encodeName}. */
  readonly issuerDer: Der;
  readonly subjectDer: Der;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly spkiDer: Uint8Array;
  readonly isCa: boolean;
  /** How many authorities may stand below; any number when absent. */
  readonly pathLength?: number;
  /** Bits of the key usage extension. */
  readonly keyUsage: readonly number[];
  readonly extendedKeyUsage: readonly string[];
  readonly names: AltNames;
  readonly subjectKeyId: Uint8Array;
  readonly authorityKeyId: Uint8Array;
}

/** Encodes and signs a certificate; returns its DER. */
export function encodeCertificate(encoder: DerEncoder, template: CertificateTemplate, key: KeyObject): Der {
  const algorithm =
    key.asymmetricKeyType === 'rsa'
      ? encoder.sequence(encoder.oid(Oid.sha256WithRsa), encoder.null())
      : encoder.sequence(encoder.oid(Oid.ecdsaWithSha256));
  const tbs = encoder.sequence(
    encoder.explicit(0, encoder.integer(Uint8Array.of(2))),
    encoder.integer(template.serial),
    algorithm,
    template.issuerDer,
    encoder.sequence(encoder.time(template.notBeforeMs), encoder.time(template.notAfterMs)),
    template.subjectDer,
    template.spkiDer,
    encoder.explicit(3, encodeExtensions(encoder, template)),
  );
  return encoder.sequence(tbs, algorithm, encoder.bitString(sign('sha256', tbs, key)));
}

/** The identifier of a key: SHA-256 of its bits, cut to 160 bits (RFC 7093 §2, method 1). */
export function keyIdOf(spkiDer: Uint8Array): Uint8Array {
  const spki = new DerReader(spkiDer, (what) => new TypeError(what)).enter();
  spki.next();
  return createHash('sha256').update(spki.bitString().bytes).digest().subarray(0, 20);
}

function encodeExtensions(encoder: DerEncoder, template: CertificateTemplate): Der {
  const { isCa, extendedKeyUsage, names } = template;
  const length =
    template.pathLength === undefined ? [] : [encoder.integer(Uint8Array.of(template.pathLength))];
  const constraints = isCa ? encoder.sequence(encoder.boolean(true), ...length) : encoder.sequence();
  const parts = [
    encodeExtension(encoder, Oid.basicConstraints, true, constraints),
    encodeExtension(encoder, Oid.keyUsage, true, encodeBits(encoder, template.keyUsage)),
    encodeExtension(encoder, Oid.subjectKeyIdentifier, false, encoder.octetString(template.subjectKeyId)),
    encodeExtension(
      encoder,
      Oid.authorityKeyIdentifier,
      false,
      encoder.sequence(encoder.tagged(0x80, template.authorityKeyId)),
    ),
  ];
  if (extendedKeyUsage.length > 0) {
    const usages = encoder.sequence(...extendedKeyUsage.map((oid) => encoder.oid(oid)));
    parts.push(encodeExtension(encoder, Oid.extendedKeyUsage, false, usages));
  }
  const hasNames = Object.values(names).some((list: readonly unknown[]) => list.length > 0);
  // RFC 5280 §4.2.1.6: critical when the subject is empty.
  if (hasNames) parts.push(encodeAltNames(encoder, names, template.subjectDer.length === EMPTY_NAME_BYTES));
  return encoder.sequence(...parts);
}

/** A distinguished name of one common name; empty text = a name without parts. */
export function encodeName(encoder: DerEncoder, commonName: string): Der {
  if (commonName === '') return encoder.sequence();
  const attribute = encoder.sequence(encoder.oid('2.5.4.3'), encoder.utf8(commonName));
  return encoder.sequence(encoder.set(attribute));
}

/** A named bit list in DER: without trailing zero bits. All bits of key usage that are issued here are below 8. */
function encodeBits(encoder: DerEncoder, bits: readonly number[]): Der {
  const byte = bits.reduce((value, bit) => value | (0x80 >> bit), 0);
  return encoder.bitString(Uint8Array.of(byte), 7 - Math.max(...bits));
}

/** Key usage of a workload: signatures, and for RSA keys also key transport, which clients of TLS 1.2 expect. */
export function leafKeyUsage(keyType: string | undefined): readonly number[] {
  const { digitalSignature, keyEncipherment } = KeyUsageBit;
  return keyType === 'rsa' ? [digitalSignature, keyEncipherment] : [digitalSignature];
}
