import { WeakMemo } from '../../runtime/weak-memo.js';
import { fullHostName } from '../kinds/hosts.js';
import type { Destination, HttpMatch, HttpRoute, StringMatch } from '../kinds/types.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { isExported } from '../mesh/visibility.js';

type VirtualService = Document<'VirtualService'>;

/**
 * The VirtualServices of a view with the rules of their delegates in place. Istio: those that delegate come after all
 * others, so that for a host that both name they lose; delegates alone are for nobody.
 */
export function virtualServicesOf(
  view: ConfigView,
  { exportTo: { virtualServices: byDefault } }: Pick<MeshConfig, 'exportTo'>,
): readonly VirtualService[] {
  const documents = view.list('VirtualService');
  const key = JSON.stringify(byDefault);
  const byKey = merged.get([documents], () => new Map());
  let all = byKey.get(key);
  if (all === undefined) {
    all = mergeDelegates(documents, byDefault);
    byKey.set(key, all);
  }
  return all;
}

const merged = new WeakMemo<Map<string | undefined, readonly VirtualService[]>>();

function mergeDelegates(
  all: readonly VirtualService[],
  byDefault: readonly string[] | undefined,
): readonly VirtualService[] {
  const delegates = new Map<string, VirtualService>();
  const plain: VirtualService[] = [];
  const roots: VirtualService[] = [];
  for (const document of all) {
    const { namespace, name, spec } = document;
    if ((spec.hosts ?? []).length === 0) delegates.set(`${namespace}/${name}`, document);
    else if (hasDelegates(spec.http)) roots.push(document);
    else plain.push(document);
  }
  const key = JSON.stringify(byDefault);
  return [
    ...plain,
    ...roots.map((root) => {
      const byKey = rootsWith.get(piecesOf(root, delegates), () => new Map());
      const known = byKey.get(key) ?? withDelegates(root, { delegates, byDefault });
      byKey.set(key, known);
      return known;
    }),
  ];
}

/** By what they are made from, and the visibility of those that do not say. */
const rootsWith = new WeakMemo<Map<string | undefined, VirtualService>>();

const NOWHERE = {};

/** What the rules of a document come from: itself, and for each rule that delegates whom it names. */
function piecesOf(root: VirtualService, delegates: ReadonlyMap<string, VirtualService>): readonly object[] {
  const named = (root.spec.http ?? []).flatMap(({ delegate }) =>
    delegate === undefined
      ? []
      : (delegates.get(`${delegate.namespace || root.namespace}/${delegate.name ?? ''}`) ?? NOWHERE),
  );
  return [root, ...named];
}

function hasDelegates(http: readonly HttpRoute[] = []): boolean {
  return http.some(({ delegate }) => delegate !== undefined);
}

/** Istio: a rule whose delegate is not there, or not shown to the root's namespace, is left out alone. */
function withDelegates(
  root: VirtualService,
  {
    delegates,
    byDefault,
  }: {
    readonly delegates: ReadonlyMap<string, VirtualService>;
    readonly byDefault: readonly string[] | undefined;
  },
): VirtualService {
  const http = (root.spec.http ?? []).flatMap((rule): readonly HttpRoute[] => {
    if (rule.delegate === undefined) return [rule];
    const { name = '', namespace } = rule.delegate;
    const delegate = delegates.get(`${namespace || root.namespace}/${name}`);
    if (delegate === undefined) return [];
    const exposure = { from: delegate.namespace, to: root.namespace, byDefault };
    if (!isExported(delegate.spec.exportTo, exposure)) return [];
    return (delegate.spec.http ?? []).flatMap(
      (own) => mergeRule(rule, resolved(own, delegate.namespace)) ?? [],
    );
  });
  const { apiVersion, kind, name, namespace, labels, annotations, origin, order } = root;
  return {
    apiVersion,
    kind,
    name,
    namespace,
    labels,
    annotations,
    origin,
    order,
    spec: {
      ...root.spec,
      http,
    },
    position: (path) => root.position(path),
    raw: () => root.raw(),
  };
}

/** Names without dots mean services of the delegate's namespace, wherever its rules end up. */
function resolved(rule: HttpRoute, namespace: string): HttpRoute {
  const full = (destination: Destination): Destination => ({
    ...destination,
    host: fullHostName(destination.host, namespace),
  });
  return {
    ...rule,
    ...(rule.route && { route: rule.route.map((one) => ({ ...one, destination: full(one.destination) })) }),
    ...(rule.mirror && { mirror: full(rule.mirror) }),
    ...(rule.mirrors && {
      mirrors: rule.mirrors.map((one) => ({ ...one, destination: full(one.destination) })),
    }),
  };
}

/** What a delegate's rule takes from the root's where it says nothing itself. */
const INHERITED = [
  'rewrite',
  'timeout',
  'retries',
  'fault',
  'mirror',
  'mirrors',
  'mirrorPercent',
  'mirrorPercentage',
  'corsPolicy',
  'headers',
] as const;

/** Istio (mergeHTTPRoute): the delegate's rule within the root's; undefined when the two contradict each other. */
function mergeRule({ delegate: _own, ...root }: HttpRoute, own: HttpRoute): HttpRoute | undefined {
  const match = mergeMatches(root.match ?? [], own.match ?? []);
  if (match === undefined) return undefined;
  const inherited: Partial<HttpRoute> = Object.fromEntries(
    INHERITED.filter((field) => own[field] === undefined && root[field] !== undefined).map((field) => [
      field,
      root[field],
    ]),
  );
  return { ...own, ...inherited, match, name: joined(root.name, own.name) };
}

function joined(root = '', own = ''): string {
  return root !== '' && own !== '' ? `${root}-${own}` : own || root;
}

/** Each alternative of the delegate must lie within one of the root; undefined = one does not. */
function mergeMatches(
  root: readonly HttpMatch[],
  own: readonly HttpMatch[],
): readonly HttpMatch[] | undefined {
  if (root.length === 0) return own;
  if (own.length === 0) return root;
  const all: HttpMatch[] = [];
  for (const one of own) {
    const within = root.filter((other) => !contradicts(other, one));
    if (within.length === 0) return undefined;
    all.push(...within.map((other) => mergeMatch(other, one)));
  }
  return all;
}

function mergeMatch(root: HttpMatch, own: HttpMatch): HttpMatch {
  const both = (field: 'headers' | 'withoutHeaders' | 'queryParams') =>
    root[field] === undefined ? own[field] : { ...root[field], ...own[field] };
  return {
    ...root,
    ...own,
    name: joined(root.name, own.name),
    headers: both('headers'),
    withoutHeaders: both('withoutHeaders'),
    queryParams: both('queryParams'),
  };
}

/** Istio (hasConflict). */
function contradicts(root: HttpMatch, own: HttpMatch): boolean {
  const texts = (['uri', 'scheme', 'method', 'authority'] as const).some((field) =>
    isOutside(root[field], own[field]),
  );
  const maps = (['headers', 'withoutHeaders', 'queryParams'] as const).some((field) =>
    Object.entries(own[field] ?? {}).some(([name, match]) => isOutside(root[field]?.[name], match)),
  );
  const cases = (root.ignoreUriCase ?? false) !== (own.ignoreUriCase ?? false);
  const ports = root.port !== undefined && own.port !== undefined && root.port !== own.port;
  return texts || maps || cases || ports;
}

/** Whether what the delegate wants is not all within what the root wants; patterns can't be compared. */
function isOutside(root: StringMatch | undefined, own: StringMatch | undefined): boolean {
  if (root === undefined || own === undefined) return false;
  if (root.regex || own.regex) return true;
  if (root.exact) return own.exact !== root.exact;
  if (root.prefix) return !(own.prefix || own.exact || '').startsWith(root.prefix);
  return true;
}
