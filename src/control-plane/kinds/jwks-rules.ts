import { messageOf } from '../../runtime/errors.js';
import type { Report } from './report.js';
import type { FieldPath } from './view.js';

/** Whether the text is an absolute URL of http or https (Istio: ParseJwksURI). */
export function isJwksUri(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return (protocol === 'http:' || protocol === 'https:') && hostname !== '';
}

/** A JWK set, or a key alone: JSON, with the members that its kind of key needs (Istio: jwk.Parse). */
export function checkJwksText(text: string, path: FieldPath, report: Report): void {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    report.invalid(path, `is no JSON: ${messageOf(error)}`);
    return;
  }
  if (!isObject(json)) {
    report.invalid(path, 'must be a set of keys: {"keys": […]}');
    return;
  }
  const keys = Object.hasOwn(json, 'keys') ? json['keys'] : [json];
  if (!Array.isArray(keys)) {
    report.invalid(path, '"keys" must be a list');
    return;
  }
  keys.forEach((key: unknown, index) => {
    const problem = problemOf(key);
    if (problem !== undefined) report.invalid(path, `key ${index + 1} ${problem}`);
  });
}

const MEMBERS: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['RSA', ['n', 'e']],
  ['EC', ['crv', 'x', 'y']],
  ['OKP', ['crv', 'x']],
  ['oct', ['k']],
]);

function problemOf(key: unknown): string | undefined {
  if (!isObject(key)) return 'is no object';
  const members = MEMBERS.get(key['kty']);
  if (members === undefined) return `has the unknown kty ${JSON.stringify(key['kty'])}`;
  const missing = members.find((name) => typeof key[name] !== 'string' || key[name] === '');
  return missing && `lacks the member ${JSON.stringify(missing)}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
