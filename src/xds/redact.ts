import type { JsonValue } from '@bufbuild/protobuf';

/** Fields that Envoy's protos mark as sensitive, by their names. */
const SENSITIVE: ReadonlySet<string> = new Set([
  'access_token',
  'client_secret',
  'generic_secret',
  'inline_key',
  'password',
  'pkcs12',
  'private_key',
  'private_key_provider',
  'refresh_token',
  'session_ticket_keys',
  'token_secret',
]);

/** What stands in place of a secret, as in Envoy. */
const REDACTED = '[redacted]';
const REDACTED_BYTES = Buffer.from(REDACTED).toString('base64');

/** A message in JSON without what is secret in it. */
export function redact(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [
      name,
      SENSITIVE.has(name) ? blacken(part, name) : redact(part),
    ]),
  );
}

/** Everything below a sensitive field is. */
function blacken(value: JsonValue, name: string): JsonValue {
  if (Array.isArray(value)) return value.map((part) => blacken(part, name));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, blacken(part, key)]));
  }
  if (typeof value !== 'string' || name === '@type') return value;
  return name === 'inline_bytes' ? REDACTED_BYTES : REDACTED;
}
