import { allAtOnce } from '../../runtime/in-turns.js';
import { checkDocuments } from '../documents/check.js';
import { createView } from '../documents/config-view.js';
import { type FileContent, readDocuments } from '../documents/document.js';
import type { ConfigInput } from '../documents/file-reader.js';
import { ConfigFile, openConfigFile, type Place } from '../schema/config-file.js';
import type { ConfigLimits } from '../schema/limits.js';
import type { Violation } from '../schema/violation.js';
import { CODES, type FindingCode } from './codes.js';
import { type AnalysisDocument, documentsOf } from './document.js';
import type { Finding } from './finding.js';
import { at, text } from './plain.js';

/** What files hold for analysis: their documents, and what is wrong with each by itself. */
export interface AnalysisInput {
  readonly documents: readonly AnalysisDocument[];
  readonly findings: readonly Finding[];
}

/** Reads texts for analysis. A text that cannot be read is a finding; the others are analyzed all the same. */
export function readForAnalysis(input: ConfigInput, limits: ConfigLimits): AnalysisInput {
  return allAtOnce(readingForAnalysis(input, limits));
}

/** The same, with a pause after each text: whoever has other work does it there. */
export function* readingForAnalysis(
  { files, violations = [] }: ConfigInput,
  limits: ConfigLimits,
): Generator<void, AnalysisInput> {
  const documents: AnalysisDocument[] = [];
  const findings: Finding[] = violations.map((one) => toFinding('INM0001', one));
  const opened: ConfigFile[] = [];
  for (const source of files) {
    const result = openConfigFile(source, limits);
    if ('violation' in result) findings.push(toFinding('INM0001', result.violation));
    else opened.push(result.file);
    yield;
  }
  for (const file of opened) {
    const read = file.read();
    findings.push(...read.violations.map((one) => toFinding('INM0001', one)));
    const own = documentsOf(file, read.documents);
    documents.push(...own, ...own.flatMap((one) => meshDocumentsOf(one, limits)));
    yield;
  }
  findings.push(...(yield* checkKinds(opened, limits, documents)));
  return { documents, findings };
}

/** What violations analysis tells elsewhere, or not at all: other kinds are none of its business. */
const SILENT: ReadonlySet<string> = new Set([
  'INMESH_CONFIG_SYNTAX',
  'INMESH_CONFIG_TOO_LARGE',
  'INMESH_CONFIG_UNKNOWN_KIND',
  'INMESH_CONFIG_UNSUPPORTED',
  'INMESH_CONFIG_REFERENCE',
]);

/** What breaks a rule of its kind (Istio: schema.ValidationAnalyzer). */
function* checkKinds(
  files: readonly ConfigFile[],
  limits: ConfigLimits,
  known: readonly AnalysisDocument[],
): Generator<void, readonly Finding[]> {
  const contents: FileContent[] = [];
  for (const file of files) {
    contents.push(readDocuments(file, limits.violations));
    yield;
  }
  const documents = contents.flatMap((content) => content.documents).map((one, order) => one.at(order));
  const violations = [
    ...contents.flatMap((content) => content.violations),
    ...checkDocuments(documents, createView(0, documents), true),
  ];
  const spaces = new Map(known.map((one) => [originKey(one.kind, one.namespace, one.name), one]));
  return violations
    .filter((one) => !SILENT.has(one.code) && isChecked(one, spaces))
    .map((one) => {
      const code = one.severity === 'error' ? 'IST0106' : 'IST0133';
      return toFinding(code, one, spaces.get(keyOf(one)));
    });
}

/** The key of the document that a violation is about: its resource without the group that tells Gateways apart. */
const keyOf = ({ resource = '' }: Violation): string => resource.replace(/^([^ .]+)\.[^ ]+/, '$1');

const originKey = (kind: string, namespace: string, name: string): string =>
  `${kind} ${namespace === '' ? 'default' : namespace}/${name}`;

/** Kubernetes checks its own kinds, but not the MeshConfig in a ConfigMap; analysis reads of them what it needs. */
function isChecked(violation: Violation, known: ReadonlyMap<string, AnalysisDocument>): boolean {
  const document = known.get(keyOf(violation));
  if (document === undefined || (document.group !== '' && document.group !== 'apps')) return true;
  return document.kind === 'ConfigMap' && violation.path.join('.') === 'data.mesh';
}

function toFinding(code: FindingCode, violation: Violation, document?: AnalysisDocument): Finding {
  const { message, path, origin, excerpt, length, suggestion, resource } = violation;
  return {
    code,
    ...CODES[code],
    origin: document?.origin ?? resource ?? origin.file,
    namespace: document?.namespace ?? '',
    message,
    analyzer: `schema.ValidationAnalyzer${document === undefined ? '' : `.${document.kind}`}`,
    path,
    place: { origin, excerpt, length },
    suggestion,
  };
}

/** Istio's own ConfigMap holds the MeshConfig and the MeshNetworks as texts. */
function meshDocumentsOf(document: AnalysisDocument, limits: ConfigLimits): readonly AnalysisDocument[] {
  const { kind, name, namespace, value } = document;
  if (kind !== 'ConfigMap' || !/^istio(?:-[\w-]+)?$/.test(name) || name.startsWith('istio-sidecar-injector'))
    return [];
  return ['mesh', 'meshNetworks'].flatMap((key) => {
    const source = text(at(value, 'data'), key);
    if (source === '') return [];
    const place = (): Place => document.place(['data', key], false);
    const read = new ConfigFile(document.place([], false).origin.file, source, limits).read();
    const inner = documentsOf(new ConfigFile(name, source, limits), read.documents);
    return inner
      .filter((one) => one.kind === 'MeshConfig' || one.kind === 'MeshNetworks')
      .map((one) => ({ ...one, origin: `${one.kind} ${namespace}/${name}`, place }));
  });
}
