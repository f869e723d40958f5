import { MeshError } from '../runtime/errors.js';
import { contextPrimitiveTag, contextTag, DerReader, DerTag } from './der.js';

/** Object identifiers of X.509 that this layer knows. */
export const Oid = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  anyExtendedKeyUsage: '2.5.29.37.0',
  extensionRequest: '1.2.840.113549.1.9.14',
  ecPublicKey: '1.2.840.10045.2.1',
  rsaEncryption: '1.2.840.113549.1.1.1',
  ed25519: '1.3.101.112',
  prime256v1: '1.2.840.10045.3.1.7',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  ecdsaWithSha512: '1.2.840.10045.4.3.4',
  rsaPss: '1.2.840.113549.1.1.10',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  sha384WithRsa: '1.2.840.113549.1.1.12',
  sha512WithRsa: '1.2.840.113549.1.1.13',
} as const;

/** Bits of the key usage extension, RFC 5280 §4.2.1.3. */
export const KeyUsageBit = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, cRLSign: 6 } as const;

/** One entry of a subject alternative name or of a name constraint; `tag` is the number of its GeneralName choice. */
export interface GeneralName {
  readonly tag: number;
  readonly value: Uint8Array;
}

/** The numbers of the GeneralName choices, RFC 5280 §4.2.1.6. */
export const GeneralNameTag = { email: 1, dns: 2, directory: 4, uri: 6, ip: 7 } as const;

/** Names that a certificate authority may vouch for (RFC 5280 §4.2.1.10). */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

/** What this layer wants to know of a certificate, read from its bytes by our own strict reader. */
export interface CertificateFacts {
  /** Content of the INTEGER. */
  readonly serial: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly signatureAlgorithm: string;
  readonly issuerDer: Uint8Array;
  readonly subjectDer: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly spkiDer: Uint8Array;
  readonly subjectAltNames: readonly GeneralName[];
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  /** Undefined when the extension is absent. */
  readonly keyUsage: { readonly critical: boolean; has(bit: number): boolean } | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  /** Critical extensions that nobody here enforces; a chain with one is refused (RFC 5280 §4.2). */
  readonly unknownCritical: readonly string[];
}

/** Reads the facts of one DER certificate; anything malformed is refused with INMESH_SVID_INVALID. */
export function readCertificate(der: Uint8Array): CertificateFacts {
  const whole = new DerReader(der, malformed);
  const certificate = whole.enter();
  whole.end();
  const tbs = certificate.enter();
  const outerAlgorithm = certificate.next(DerTag.sequence).raw;
  certificate.bitString();
  certificate.end();

  const version = tbs.enter(contextTag(0));
  if (version.smallInteger() !== 2) throw malformed('it is not of version 3');
  version.end();
  const serial = tbs.integer();
  const innerAlgorithm = tbs.next(DerTag.sequence);
  if (!equalBytes(innerAlgorithm.raw, outerAlgorithm)) throw malformed('its two signature algorithms differ');
  const issuerDer = tbs.next(DerTag.sequence).raw;
  const validity = tbs.enter();
  const notBeforeMs = readTime(validity);
  const notAfterMs = readTime(validity);
  validity.end();
  const subjectDer = tbs.next(DerTag.sequence).raw;
  const spkiDer = tbs.next(DerTag.sequence).raw;
  tbs.optional(contextPrimitiveTag(1));
  tbs.optional(contextPrimitiveTag(2));
  const extensions = readExtensions(tbs);
  tbs.end();
  const signatureAlgorithm = readSignatureAlgorithm(new DerReader(innerAlgorithm.content, malformed));
  return {
    serial,
    notBeforeMs,
    notAfterMs,
    signatureAlgorithm,
    issuerDer,
    subjectDer,
    spkiDer,
    ...extensionFacts(extensions),
  };
}

/** The algorithm's identifier; for RSASSA-PSS followed by a slash and its hash's, which is where its strength lies. */
function readSignatureAlgorithm(reader: DerReader): string {
  const oid = reader.oid();
  if (oid !== Oid.rsaPss) return oid;
  const parameters = reader.enter();
  const hash = parameters.peek() === contextTag(0) ? parameters.enter(contextTag(0)).enter().oid() : 'sha1';
  return `${oid}/${hash}`;
}

interface Extension {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

function readExtensions(tbs: DerReader): Map<string, Extension> {
  const extensions = new Map<string, Extension>();
  if (tbs.done) return extensions;
  const explicit = tbs.enter(contextTag(3));
  const list = explicit.enter();
  explicit.end();
  while (!list.done) {
    const one = list.enter();
    const oid = one.oid();
    const critical = one.peek() === DerTag.boolean && one.boolean();
    const value = one.next(DerTag.octetString).content;
    one.end();
    // RFC 5280 §4.2: at most one instance, else two readers may see two different names.
    if (extensions.has(oid)) throw malformed(`it has the extension ${oid} twice`);
    extensions.set(oid, { critical, value });
  }
  return extensions;
}

const ENFORCED: ReadonlySet<string> = new Set([
  Oid.subjectKeyIdentifier,
  Oid.keyUsage,
  Oid.subjectAltName,
  Oid.basicConstraints,
  Oid.nameConstraints,
  // Any policy is acceptable to us, so there is nothing to enforce.
  Oid.certificatePolicies,
  Oid.authorityKeyIdentifier,
  Oid.extendedKeyUsage,
]);

type ExtensionFacts = Omit<
  CertificateFacts,
  'serial' | 'notBeforeMs' | 'notAfterMs' | 'signatureAlgorithm' | 'issuerDer' | 'subjectDer' | 'spkiDer'
>;

function extensionFacts(extensions: ReadonlyMap<string, Extension>): ExtensionFacts {
  const read = <T>(oid: string, decode: (reader: DerReader) => T): T | undefined => {
    const extension = extensions.get(oid);
    if (extension === undefined) return undefined;
    const reader = new DerReader(extension.value, malformed);
    const value = decode(reader);
    reader.end();
    return value;
  };
  const constraints = read(Oid.basicConstraints, readBasicConstraints);
  const usage = read(Oid.keyUsage, readKeyUsage);
  return {
    subjectAltNames: read(Oid.subjectAltName, (reader) => readGeneralNames(reader.enter())) ?? [],
    isCa: constraints?.isCa ?? false,
    pathLength: constraints?.pathLength,
    keyUsage:
      usage === undefined
        ? undefined
        : { has: usage, critical: extensions.get(Oid.keyUsage)?.critical ?? false },
    extendedKeyUsage: read(Oid.extendedKeyUsage, readOids),
    nameConstraints: read(Oid.nameConstraints, readNameConstraints),
    subjectKeyId: read(Oid.subjectKeyIdentifier, (reader) => reader.next(DerTag.octetString).content),
    authorityKeyId: read(Oid.authorityKeyIdentifier, readAuthorityKeyId),
    unknownCritical: [...extensions]
      .filter(([oid, { critical }]) => critical && !ENFORCED.has(oid))
      .map(([oid]) => oid),
  };
}

function readBasicConstraints(reader: DerReader): { isCa: boolean; pathLength: number | undefined } {
  const body = reader.enter();
  const isCa = body.peek() === DerTag.boolean && body.boolean();
  const pathLength = body.done ? undefined : body.smallInteger();
  body.end();
  if (pathLength !== undefined && !isCa) throw malformed('it limits a path although it is no authority');
  return { isCa, pathLength };
}

function readKeyUsage(reader: DerReader): (bit: number) => boolean {
  const { bytes } = reader.bitString();
  return (bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0;
}

function readOids(reader: DerReader): string[] {
  const body = reader.enter();
  const oids: string[] = [];
  while (!body.done) oids.push(body.oid());
  if (oids.length === 0) throw malformed('its extended key usage is empty');
  return oids;
}

function readAuthorityKeyId(reader: DerReader): Uint8Array | undefined {
  const body = reader.enter();
  const keyId = body.optional(contextPrimitiveTag(0))?.content;
  // The issuer's name and serial may follow; node:crypto's checkIssued compares them.
  while (!body.done) body.next();
  return keyId;
}

function readGeneralNames(body: DerReader): GeneralName[] {
  const names: GeneralName[] = [];
  while (!body.done) {
    const { tag, content } = body.next();
    if ((tag & 0xc0) !== 0x80 || (tag & 0x1f) > 8) throw malformed('it has a name of an unknown kind');
    names.push({ tag: tag & 0x1f, value: content });
  }
  return names;
}

function readNameConstraints(reader: DerReader): NameConstraints {
  const body = reader.enter();
  const subtrees = (tag: number): GeneralName[] => {
    if (body.peek() !== tag) return [];
    const list = body.enter(tag);
    const names: GeneralName[] = [];
    while (!list.done) {
      const subtree = list.enter();
      const { tag: nameTag, content } = subtree.next();
      // RFC 5280 §4.2.1.10: minimum is 0 and maximum absent, so DER writes neither.
      subtree.end();
      names.push({ tag: nameTag & 0x1f, value: content });
    }
    return names;
  };
  const permitted = subtrees(contextTag(0));
  const excluded = subtrees(contextTag(1));
  body.end();
  return { permitted, excluded };
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

function readTime(reader: DerReader): number {
  const { tag, content } = reader.next();
  const text = latin1(content);
  const pattern =
    tag === DerTag.utcTime ? UTC_TIME : tag === DerTag.generalizedTime ? GENERALIZED_TIME : undefined;
  const parts = pattern?.exec(text)?.slice(1).map(Number);
  if (parts === undefined) throw malformed('a date is not in the form of RFC 5280 §4.1.2.5');
  const [first = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  const year = tag === DerTag.utcTime ? first + (first < 50 ? 2000 : 1900) : first;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const isReal =
    date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60;
  if (!isReal) throw malformed('a date does not exist');
  return date.getTime();
}

/** Text of one byte a character, so that no byte sequence can hide or merge. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** Tells whether both hold the same bytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function malformed(what: string): MeshError {
  return new MeshError('INMESH_SVID_INVALID', `the certificate is malformed: ${what}`, {
    hint: 'Have its authority issue it again, as DER that follows RFC 5280',
  });
}
