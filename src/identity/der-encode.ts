import type { asn1 } from 'node-forge';
import { contextTag, DerTag } from './der.js';
import { GeneralNameTag, Oid } from './x509.js';

/** Bytes of DER, already encoded. */
export type Der = Uint8Array;

/** Writes the DER of what we issue. It never sees a private key, nor bytes that a peer sent except whole, as a value. */
export interface DerEncoder {
  sequence(...parts: readonly Der[]): Der;
  set(...parts: readonly Der[]): Der;
  /** `[number]` around `part`. */
  explicit(number: number, part: Der): Der;
  /** Any tag over raw content, for implicit tags. */
  tagged(tag: number, content: Uint8Array): Der;
  oid(text: string): Der;
  /** A positive INTEGER from its big-endian magnitude. */
  integer(magnitude: Uint8Array): Der;
  boolean(value: boolean): Der;
  octetString(content: Uint8Array): Der;
  bitString(content: Uint8Array, unusedBits?: number): Der;
  utf8(text: string): Der;
  null(): Der;
  /** UTCTime up to 2049, GeneralizedTime after (RFC 5280 §4.1.2.5). */
  time(ms: number): Der;
}

let loading: Promise<DerEncoder> | undefined;

/** Loads node-forge's encoder on first use, so that a process which issues nothing does not pay for it. */
export function loadDerEncoder(): Promise<DerEncoder> {
  loading ??= import('node-forge/lib/asn1.js').then((module) => createEncoder(module.default));
  return loading;
}

function createEncoder(forge: typeof asn1): DerEncoder {
  const { Class, Type } = forge;
  const binary = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
  const finish = (object: asn1.Asn1): Der => Buffer.from(forge.toDer(object).getBytes(), 'latin1');
  const leaf = (type: asn1.Type, value: string) => finish(forge.create(Class.UNIVERSAL, type, false, value));
  // Parts are encoded already, so a constructed value is its tag and length over their bytes.
  const join = (type: asn1.Type, parts: readonly Der[]): Der => tagged(0x20 | type, Buffer.concat(parts));
  // Certificates are tags around tags: the library would copy the content of each through a string, once per level.
  const tagged = (tag: number, content: Uint8Array): Der =>
    Buffer.concat([headerOf(tag, content.length), content]);
  const oids = new Map<string, Der>();
  const oid = (text: string): Der => {
    const known = oids.get(text) ?? leaf(Type.OID, forge.oidToDer(text).getBytes());
    // The same few in every certificate.
    if (oids.size < 64) oids.set(text, known);
    return known;
  };
  const yes = leaf(Type.BOOLEAN, '\u00ff');
  const no = leaf(Type.BOOLEAN, '\u0000');
  return {
    sequence: (...parts) => join(Type.SEQUENCE, parts),
    set: (...parts) => join(Type.SET, parts),
    explicit: (number, part) => tagged(contextTag(number), part),
    tagged,
    oid,
    integer: (magnitude) => leaf(Type.INTEGER, binary(shortest(magnitude))),
    boolean: (value) => (value ? yes : no),
    octetString: (content) => tagged(DerTag.octetString, content),
    bitString: (content, unusedBits = 0) =>
      tagged(DerTag.bitString, Buffer.concat([Uint8Array.of(unusedBits), content])),
    utf8: (text) => leaf(Type.UTF8, binary(Buffer.from(text, 'utf8'))),
    null: () => leaf(Type.NULL, ''),
    time(ms) {
      const date = new Date(ms);
      return date.getUTCFullYear() < 2050
        ? leaf(Type.UTCTIME, forge.dateToUtcTime(date))
        : leaf(Type.GENERALIZEDTIME, forge.dateToGeneralizedTime(date));
    },
  };
}

/** Tag and length, in the shortest form that X.690 §10.1 wants. */
function headerOf(tag: number, length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(tag, length);
  if (length < 0x100) return Uint8Array.of(tag, 0x81, length);
  if (length < 0x10000) return Uint8Array.of(tag, 0x82, length >> 8, length & 0xff);
  return Uint8Array.of(tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
}

/** The shortest form of a positive INTEGER: no leading zeros but the one that keeps it positive. */
function shortest(magnitude: Uint8Array): Uint8Array {
  const first = magnitude.findIndex((byte) => byte !== 0);
  if (first < 0) return Uint8Array.of(0);
  const bare = magnitude.subarray(first);
  return (bare[0] ?? 0) >= 0x80 ? Uint8Array.of(0, ...bare) : bare;
}

/** An Extension of X.509. */
export function encodeExtension(encoder: DerEncoder, oid: string, critical: boolean, value: Der): Der {
  const flag = critical ? [encoder.boolean(true)] : [];
  return encoder.sequence(encoder.oid(oid), ...flag, encoder.octetString(value));
}

/** The names a certificate or signing request is for. */
export interface AltNames {
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** IP addresses in bytes, 4 or 16. */
  readonly ips?: readonly Uint8Array[];
}

/** The subject alternative name extension. */
export function encodeAltNames(encoder: DerEncoder, names: AltNames, critical: boolean): Der {
  const name = (number: number, content: Uint8Array) => encoder.tagged(0x80 | number, content);
  const value = encoder.sequence(
    ...(names.uris ?? []).map((uri) => name(GeneralNameTag.uri, Buffer.from(uri, 'latin1'))),
    ...(names.dnsNames ?? []).map((dns) => name(GeneralNameTag.dns, Buffer.from(dns, 'latin1'))),
    ...(names.ips ?? []).map((ip) => name(GeneralNameTag.ip, ip)),
  );
  return encodeExtension(encoder, Oid.subjectAltName, critical, value);
}
