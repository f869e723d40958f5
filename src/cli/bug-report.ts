import { arch, platform, release } from 'node:os';
import { messageOf } from '../runtime/errors.js';
import { type Output, version } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { print } from './print.js';
import { askStatus } from './status-api.js';

/** What the commands of this file were asked for. */
export interface ReportOptions extends PlaneOptions {
  readonly format: 'table' | 'json' | 'yaml';
}

const PARTS = {
  status: '/api/status',
  resources: '/api/resources',
  history: '/api/history',
  workloads: '/api/workloads',
  mtls: '/api/mtls',
  authority: '/api/ca',
  load: '/api/load',
} as const;

/** Gathers what is known, without secrets. */
export async function bugReport(options: ReportOptions, output: Output): Promise<number> {
  const parts: Record<string, unknown> = {};
  for (const [name, path] of Object.entries(PARTS)) parts[name] = await ask(options, path);
  const report = {
    at: new Date().toISOString(),
    versions: { inmesh: version, ...process.versions },
    system: { platform: platform(), release: release(), arch: arch() },
    environment: environmentOf(process.env),
    ...parts,
  };
  const shown = withoutWords(redacted(report), secretsIn(process.env));
  await print(output, options.format === 'yaml' ? 'yaml' : 'json', shown, () => []);
  return 0;
}

/** What can't be had is told in its place: a report with holes is one, too. */
async function ask(
  { controlPlane: address, tokenFile, caRoot }: PlaneOptions,
  path: string,
): Promise<unknown> {
  try {
    return await askStatus({ address, tokenFile, caRoot }, path);
  } catch (error) {
    return { unavailable: messageOf(error) };
  }
}

function environmentOf(env: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      /^(?:INMESH|PILOT|GRPC_XDS)_/.test(name) && value !== undefined ? [[name, value]] : [],
    ),
  );
}

const SENSITIVE =
  /token|secret|passw(?:or)?d|passphrase|authorization|cookie|credential|api[-_]?key|private[-_]?key|bearer/i;
/** Names under which nothing secret stands though they sound like it. */
const HARMLESS = /(?:file|path|url|name|uri|ref|count|issuer|^secrets)$/i;
const PEM = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;
const JWT = /\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g;
const JOIN_TOKEN = /inmesh-join-[\w-]+/g;
const BEARER = /\b(bearer|basic)\s+[\w.~+/=-]+/gi;

/** Words shorter than that may stand anywhere by chance. */
const MIN_SECRET = 6;

/** What the environment holds that is secret, whoever it is for: it may have come into messages and documents. */
function secretsIn(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  return Object.entries(env).flatMap(([name, value = '']) =>
    SENSITIVE.test(name) && !HARMLESS.test(name) && value.length >= MIN_SECRET ? [value] : [],
  );
}

function withoutWords(value: unknown, words: readonly string[]): unknown {
  if (typeof value === 'string')
    return words.reduce((text, word) => text.replaceAll(word, '[redacted]'), value);
  if (Array.isArray(value)) return value.map((one) => withoutWords(one, words));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, withoutWords(part, words)]));
}

/** The same value without keys, tokens and secrets, wherever they stand. */
export function redacted(value: unknown, name = ''): unknown {
  if (typeof value === 'string') {
    if (SENSITIVE.test(name) && !HARMLESS.test(name)) return '[redacted]';
    return value
      .replaceAll(PEM, '[redacted]')
      .replaceAll(JWT, '[redacted]')
      .replaceAll(JOIN_TOKEN, '[redacted]')
      .replaceAll(BEARER, '$1 [redacted]')
      .replaceAll(/:\/\/[^/@\s]+@/g, '://[redacted]@');
  }
  if (Array.isArray(value)) {
    // A header as a pair.
    const [first] = value;
    if (value.length === 2 && typeof first === 'string' && SENSITIVE.test(first))
      return [first, '[redacted]'];
    return value.map((one) => redacted(one, name));
  }
  if (typeof value !== 'object' || value === null) return value;
  const isSecret = 'kind' in value && value.kind === 'Secret';
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => {
      const isHidden = isSecret && (key === 'data' || key === 'stringData');
      return [key, isHidden ? '[redacted]' : redacted(part, key)];
    }),
  );
}
