import { groupBy } from '../../runtime/group-by.js';
import { allAtOnce } from '../../runtime/in-turns.js';
import type { AnalysisContext, Analyzer, RegisteredService, RegisteredWorkload, Report } from './analyzer.js';
import { NAME_PATH } from './analyzer.js';
import { ANALYZERS } from './analyzers/table.js';
import { CODES, LEVELS } from './codes.js';
import { defaultDocuments } from './defaults.js';
import type { AnalysisDocument } from './document.js';
import type { Finding } from './finding.js';
import { podsOf } from './pods.js';
import type { AnalysisInput } from './read.js';
import { isSuppressedByAnnotation, type Suppression, suppressionTest } from './suppressions.js';
import { isSystemNamespace } from './workloads.js';

/** How to analyze. */
export interface AnalysisOptions {
  /** Names of analyzers to run; undefined = all. */
  readonly analyzers?: readonly string[] | undefined;
  readonly suppressions?: readonly Suppression[] | undefined;
  /** The namespace of the control plane (default: istio-system). */
  readonly istioNamespace?: string | undefined;
  /** Services that are there without a document, such as those of workloads that registered. */
  readonly services?: readonly RegisteredService[] | undefined;
  /** Workloads that are there without a document. */
  readonly workloads?: readonly RegisteredWorkload[] | undefined;
  /** Calendar time in milliseconds since 1970: whether certificates are valid. */
  readonly now: number;
}

/**
 * Analyzes a set of documents: what one says that another does not bear out. Pure: the same documents give the same
 * findings, ordered by file and line.
 */
export function analyze(input: AnalysisInput, options: AnalysisOptions): readonly Finding[] {
  return allAtOnce(analyzing(input, options));
}

/** The same, with a pause after each analyzer. */
export function* analyzing(
  input: AnalysisInput,
  options: AnalysisOptions,
): Generator<void, readonly Finding[]> {
  const { analyzers, suppressions = [], istioNamespace = 'istio-system', now } = options;
  const { services = [], workloads = [] } = options;
  const isSuppressed = suppressionTest(suppressions);
  const documents = [...input.documents, ...defaultDocuments(istioNamespace)];
  const index = createIndex(documents);
  const context: AnalysisContext = { ...index, pods: podsOf(index), services, workloads, now };
  const byOrigin = new Map(input.documents.map((one) => [one.origin, one]));
  const findings = input.findings.filter(({ code, origin }) => {
    const document = byOrigin.get(origin);
    return document === undefined || !isSilent(code, document);
  });
  function isSilent(code: string, document: AnalysisDocument): boolean {
    const { isDefault, kind, name, namespace } = document;
    // Istio: of what is Kubernetes' own nobody is told.
    if (isDefault || isSystemNamespace(kind === 'Namespace' ? name : namespace)) return true;
    return isSuppressedByAnnotation(document, code) || isSuppressed(code, document);
  }
  for (const analyzer of ANALYZERS) {
    if (analyzers !== undefined && !analyzers.includes(analyzer.name)) continue;
    analyzer.analyze(context, (code, document, message, details) => {
      if (!isSilent(code, document)) findings.push(toFinding(analyzer, [code, document, message, details]));
    });
    yield;
  }
  return findings.sort(compare);
}

/** The documents by kind and name; of two with the same name the last counts. */
function createIndex(documents: readonly AnalysisDocument[]): Pick<AnalysisContext, 'list' | 'find'> {
  // Documents that are given go before those that stand for what every mesh has.
  const byName = new Map<string, AnalysisDocument>();
  const kept = documents.filter((one) => {
    const key = keyOf(one.group, one.kind, one.namespace, one.name);
    const isTaken = one.isDefault && byName.has(key);
    if (!isTaken) byName.set(key, one);
    return !isTaken;
  });
  const byKind = groupBy(kept, ({ kind }) => kind);
  const byGroup = groupBy(kept, ({ kind, group }) => `${group}/${kind}`);
  const groups = new Map(
    [...byKind].map(([kind, all]) => [kind, [...new Set(all.map(({ group }) => group))]]),
  );
  return {
    list: (kind, group) => (group === undefined ? byKind.get(kind) : byGroup.get(`${group}/${kind}`)) ?? [],
    find(kind, namespace, name, group) {
      const candidates = group === undefined ? (groups.get(kind) ?? []) : [group];
      for (const one of candidates) {
        const found = byName.get(keyOf(one, kind, namespace, name));
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
}

const keyOf = (group: string, kind: string, namespace: string, name: string): string =>
  JSON.stringify([group, kind, namespace, name]);

function toFinding(analyzer: Analyzer, [code, document, message, details]: Parameters<Report>): Finding {
  const { path = NAME_PATH, atKey = false, suggestion } = details ?? {};
  const { name, level } = CODES[code];
  return {
    code,
    level,
    name,
    origin: document.origin,
    namespace: document.namespace,
    message,
    analyzer: analyzer.name,
    path,
    place: document.place(path, atKey),
    suggestion,
  };
}

function compare(a: Finding, b: Finding): number {
  const [x, y] = [a.place.origin, b.place.origin];
  if (x.file !== y.file) return x.file < y.file ? -1 : 1;
  return (
    x.line - y.line ||
    x.column - y.column ||
    LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) ||
    (a.code < b.code ? -1 : a.code > b.code ? 1 : 0)
  );
}
