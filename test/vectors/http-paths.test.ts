import { afterAll, beforeAll, expect } from 'vitest';
import type { PathNormalization } from '../../src/control-plane/mesh/mesh-config.js';
import type { UniversalPathRules } from '../../src/model/request-processing.js';
import { pathOf } from '../../src/routing/match.js';
import { mergeSlashes, normalizePath, unescapeSlashes } from '../../src/routing/normalize-path.js';
import { universalTarget } from '../../src/routing/universal-path.js';
import { type MeshServer, startMeshServer } from './mesh-server.js';
import { hasVectors, vectorJson, vectorSuite } from './score.js';

interface PathCase {
  readonly mode: string;
  readonly method?: string;
  readonly input: string;
  readonly output: string | null;
  readonly reject: boolean;
  readonly redirect: boolean;
}

const FILE = 'http/paths.json';
const cases = ((vectorJson(FILE) as { cases: readonly PathCase[] } | undefined)?.cases ?? []).map((one) => one);

const RFC_3986 = { normalizePath: true, mergeSlashes: false, escapedSlashes: 'keep' } as const;

/** Parts of the path's treatment by themselves; null = refused. */
const FUNCTIONS: Readonly<Record<string, (path: string) => string | null>> = {
  rfc3986: (path) => {
    const found = normalizePath(path, RFC_3986);
    return found.kind === 'reject' ? null : found.path;
  },
  mergeSlashes,
  unescapeSlashes,
  removeQueryAndFragment: pathOf,
};

/** Modes of the universal header validator are named by what they set. */
function universalRules(mode: string): UniversalPathRules {
  const escapedSlashes = /reject/.test(mode)
    ? 'reject'
    : /redirect/.test(mode)
      ? 'redirect'
      : /decode|unescape|forward/.test(mode)
        ? 'forward'
        : 'keep';
  return {
    skipNormalization: false,
    mergeSlashes: !/skip|no-?merge/.test(mode),
    escapedSlashes,
    stripFragment: false,
  };
}

const ISTIO = 'istio-';
const MODES: readonly PathNormalization[] = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'];
const servers = new Map<string, MeshServer>();

beforeAll(async () => {
  if (!hasVectors) return;
  for (const mode of MODES) {
    servers.set(ISTIO + mode, await startMeshServer({ pathNormalization: mode }));
  }
});

afterAll(async () => {
  for (const server of servers.values()) await server.close();
});

vectorSuite({
  file: FILE,
  cases,
  title: ({ mode, input }) => `${mode}: ${input}`,
  async run(one) {
    const wanted = one.reject ? null : one.output;
    if (one.mode.startsWith('uhv-')) {
      const found = universalTarget(one.method ?? 'GET', one.input, universalRules(one.mode));
      expect(found.kind).toBe(one.reject ? 'reject' : one.redirect ? 'redirect' : 'continue');
      if (found.kind !== 'reject') expect(found.path).toBe(one.output);
      return;
    }
    const change = FUNCTIONS[one.mode];
    if (change !== undefined) {
      expect(change(one.input)).toBe(wanted);
      return;
    }
    const server = servers.get(one.mode);
    if (server === undefined) throw new Error(`unknown mode ${one.mode}`);
    // The application, and with it every policy and log, sees one path, whatever protocol it came by.
    const overHttp1 = await server.http1(`GET ${one.input} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n`);
    const overHttp2 = await server.http2({ ':path': one.input });
    expect([overHttp1.seen?.url ?? null, overHttp2.seen?.url ?? null]).toEqual([wanted, wanted]);
    if (one.reject) expect([overHttp1.status, overHttp2.status]).toEqual([400, 400]);
  },
});
