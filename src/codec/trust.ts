import { X509Certificate } from 'node:crypto';
import type { RevokedNames, TrustDocument } from '../model/trust.js';
import { at, type Path, refuse } from './path.js';

const MAX_CHARS = 16 * 1024 * 1024;
const SHA256 = /^[0-9a-f]{64}$/;
const SERIAL = /^(0|[1-9a-f][0-9a-f]{0,39})$/;
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]{1,255}(\/[A-Za-z0-9._-]+)+$/;

/** The JSON form of a trust document. */
export function encodeTrust(document: TrustDocument): string {
  const { trustDomain, sequence, bundles, tainted, distrusted, revoked, renewWithinMs } = document;
  return JSON.stringify({
    trust_domain: trustDomain,
    sequence,
    bundles: bundles.map((one) => ({
      trust_domain: one.trustDomain,
      x509_authorities: one.authorities,
      ...(one.revoked !== undefined && { revoked: one.revoked }),
    })),
    tainted,
    distrusted,
    revoked,
    renew_within_ms: renewWithinMs,
  });
}

/** Reads the JSON form; anything that is not understood refuses it as a whole, because it would weaken what it says. */
export function decodeTrust(text: string, path: Path): TrustDocument {
  if (text.length > MAX_CHARS) refuse(path, 'is too large');
  const json = objectOf(parse(text, path), path, [
    'trust_domain',
    'sequence',
    'bundles',
    'tainted',
    'distrusted',
    'revoked',
    'renew_within_ms',
  ]);
  const bundles = listOf(json['bundles'], at(path, 'bundles')).map((one, index) =>
    bundleOf(one, at(path, 'bundles', index)),
  );
  const trustDomain = textOf(json['trust_domain'], TRUST_DOMAIN, at(path, 'trust_domain'));
  const names = new Set(bundles.map((bundle) => bundle.trustDomain));
  // Two lists for one trust domain would leave open which one counts.
  if (names.size < bundles.length) refuse(at(path, 'bundles'), 'has a trust domain twice');
  if (!names.has(trustDomain)) refuse(at(path, 'bundles'), 'lacks the own trust domain');
  return {
    trustDomain,
    sequence: numberOf(json['sequence'], at(path, 'sequence')),
    bundles,
    tainted: textsOf(json['tainted'], SHA256, at(path, 'tainted')),
    distrusted: textsOf(json['distrusted'], SHA256, at(path, 'distrusted')),
    revoked: revokedOf(json['revoked'], at(path, 'revoked')),
    renewWithinMs: numberOf(json['renew_within_ms'], at(path, 'renew_within_ms')),
  };
}

function bundleOf(value: unknown, path: Path): TrustDocument['bundles'][number] {
  const json = objectOf(value, path, ['trust_domain', 'x509_authorities', 'revoked']);
  const authorities = listOf(json['x509_authorities'], at(path, 'x509_authorities'));
  return {
    trustDomain: textOf(json['trust_domain'], TRUST_DOMAIN, at(path, 'trust_domain')),
    authorities: authorities.map((one, index) => authorityOf(one, at(path, 'x509_authorities', index))),
    ...(json['revoked'] !== undefined && { revoked: revokedOf(json['revoked'], at(path, 'revoked')) }),
  };
}

function revokedOf(value: unknown, path: Path): RevokedNames {
  const json = objectOf(value, path, ['serials', 'ids', 'keys']);
  return {
    serials: textsOf(json['serials'], SERIAL, at(path, 'serials')),
    ids: textsOf(json['ids'], SPIFFE_ID, at(path, 'ids')),
    keys: textsOf(json['keys'], SHA256, at(path, 'keys')),
  };
}

function authorityOf(value: unknown, path: Path): string {
  if (typeof value !== 'string') return refuse(path, 'must be text');
  let isAuthority: boolean;
  try {
    isAuthority = new X509Certificate(value).ca;
  } catch {
    return refuse(path, 'is no certificate in PEM');
  }
  return isAuthority ? value : refuse(path, 'is no certificate authority');
}

function parse(text: string, path: Path): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return refuse(path, 'is not JSON');
  }
}

function objectOf(value: unknown, path: Path, keys: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse(path, 'must be an object');
  const unknown = Object.keys(value).find((key) => !keys.includes(key));
  if (unknown !== undefined) refuse(at(path, unknown), 'is not known');
  // An object of JSON: its keys are own, and strings.
  return value as Readonly<Record<string, unknown>>;
}

function listOf(value: unknown, path: Path): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(path, 'must be a list');
}

function textsOf(value: unknown, shape: RegExp, path: Path): readonly string[] {
  return listOf(value, path).map((one, index) =>
    textOf(one, shape, { ...path, text: `${path.text}[${index}]` }),
  );
}

function textOf(value: unknown, shape: RegExp, path: Path): string {
  return typeof value === 'string' && shape.test(value) ? value : refuse(path, 'is not what it should be');
}

function numberOf(value: unknown, path: Path): number {
  return Number.isSafeInteger(value) && Number(value) >= 0
    ? Number(value)
    : refuse(path, 'must be a whole number');
}
