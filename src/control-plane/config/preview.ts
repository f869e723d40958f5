import { setImmediate } from 'node:timers/promises';
import { MeshError } from '../../runtime/errors.js';
import { createCompiler } from '../compile/compile.js';
import { type CompiledJson, compileView } from '../compile/compile-view.js';
import { type ExplainQuery, type ExplainState, explainIn } from '../explain/explain-in.js';
import type { RequestExplanation } from '../explain/explanation.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import type { BatchResult } from '../store/object-store.js';

/** Which clients and requests a preview looks at. */
export interface PreviewOptions {
  /** Namespace of the clients. Default `default`. */
  readonly namespace?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Requests, such as those of recorded traffic. */
  readonly requests?: readonly (ExplainQuery & { readonly count?: number | undefined })[] | undefined;
}

/** What a change would come to. */
export interface Preview {
  readonly result: BatchResult;
  readonly profiles: readonly ProfileChange[];
  /** Only requests that would be treated otherwise. */
  readonly requests: readonly RequestChange[];
}

/** Names of xDS resources that would change for one kind of client. */
export interface ProfileChange {
  readonly profile: 'sdk' | 'grpc' | 'envoy';
  readonly types: readonly {
    readonly type: keyof CompiledJson;
    readonly added: readonly string[];
    readonly changed: readonly string[];
    readonly removed: readonly string[];
  }[];
}

/** A request that would be treated otherwise: only what differs. */
export interface RequestChange {
  readonly method: string;
  readonly url: string;
  readonly from: string;
  /** How often it was asked about. */
  readonly count: number;
  readonly before: object;
  readonly after: object;
}

const PROFILES = ['sdk', 'grpc', 'envoy'] as const;
const TYPES = ['listeners', 'routes', 'clusters', 'endpoints'] as const;

/** Compares what two views come to. */
export async function previewOf(
  { before, after }: { readonly before: ConfigView; readonly after: ConfigView },
  options: PreviewOptions & { readonly config: MeshConfig; readonly registry: RegistrySnapshot },
): Promise<Omit<Preview, 'result'>> {
  const { config, registry, namespace, labels, requests = [] } = options;
  const target = { ...(namespace !== undefined && { namespace }), ...(labels !== undefined && { labels }) };
  const profiles = PROFILES.map((profile): ProfileChange => {
    const compile = (view: ConfigView) => compileView(view, registry, config, { ...target, profile });
    const [old, now] = [compile(before), compile(after)];
    const types = TYPES.map((type) => ({ type, ...compare(old[type], now[type]) }));
    return {
      profile,
      types: types.filter(
        ({ added, changed, removed }) => added.length + changed.length + removed.length > 0,
      ),
    };
  });
  const [old, now] = [before, after].map((view) => createAnswers({ view, registry, config }));
  const changed: RequestChange[] = [];
  for (const { query, count } of distinct(requests)) {
    const [was, is] = [await old?.(query), await now?.(query)];
    if (JSON.stringify(was) === JSON.stringify(is)) continue;
    const { method, url, from = 'default/' } = query;
    changed.push({ method, url, from, count, ...onlyDifferent(was ?? {}, is ?? {}) });
  }
  return { profiles, requests: changed };
}

/** Recorded traffic asks the same over and over: each question once, with how often it was asked. */
function distinct(requests: NonNullable<PreviewOptions['requests']>) {
  const found = new Map<string, { readonly query: ExplainQuery; count: number }>();
  for (const { count = 1, ...query } of requests) {
    const key = JSON.stringify(query);
    const known = found.get(key);
    if (known === undefined) found.set(key, { query, count });
    else known.count += count;
  }
  return found.values();
}

/** Answers about one configuration, which is compiled once. What is no request, or no caller, is an answer, too. */
function createAnswers(state: Omit<ExplainState, 'compiler'>): (query: ExplainQuery) => Promise<Facts> {
  const compiler = createCompiler(state.config);
  return async (query) => {
    // Clients of the process get their turns in between.
    await setImmediate();
    try {
      return factsOf(await explainIn({ ...state, compiler }, query));
    } catch (error) {
      if (MeshError.is(error)) return { error: error.message };
      throw error;
    }
  };
}

/** By name; resources of one name are equal when their JSON is. */
function compare(before: readonly unknown[], after: readonly unknown[]) {
  const [old, now] = [byName(before), byName(after)];
  return {
    added: [...now.keys()].filter((name) => !old.has(name)),
    changed: [...now].filter(([name, text]) => old.has(name) && old.get(name) !== text).map(([name]) => name),
    removed: [...old.keys()].filter((name) => !now.has(name)),
  };
}

function byName(resources: readonly unknown[]): ReadonlyMap<string, string> {
  return new Map(
    resources.map((one) => {
      // Envoy's JSON: objects with a name, or with that of their cluster.
      const { name, cluster_name: cluster } = one as {
        readonly name?: string;
        readonly cluster_name?: string;
      };
      return [name ?? cluster ?? '', JSON.stringify(one)] as const;
    }),
  );
}

type Facts = Readonly<Record<string, unknown>>;

/** What of an answer callers notice. */
function factsOf(explained: RequestExplanation): Facts {
  const { outcome, cluster, clusters, response, rewritten, timeouts, retries, mirrors } = explained;
  return {
    outcome,
    cluster,
    clusters,
    response,
    authority: rewritten?.authority,
    path: rewritten?.path,
    headers: rewritten?.headers,
    responseHeaders: explained.responseHeaders,
    timeouts,
    retries,
    mirrors,
    filters: explained.filters,
    endpoints: explained.endpoints
      .filter(({ chosen }) => chosen)
      .map(({ address, port }) => `${address}:${port}`),
    authorization: explained.policy?.server.map(({ authorization }) => authorization),
  };
}

function onlyDifferent(before: Facts, after: Facts): { readonly before: object; readonly after: object } {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]),
  );
  const pick = (facts: Facts) => Object.fromEntries(keys.map((key) => [key, facts[key] ?? null]));
  return { before: pick(before), after: pick(after) };
}
