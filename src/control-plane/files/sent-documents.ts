import type { Clock } from '../../runtime/clock.js';
import { inTurns } from '../../runtime/in-turns.js';
import { silentLogger } from '../../runtime/log.js';
import { analyzing } from '../analysis/analyze.js';
import { type AnalysisDocument, DEFAULT_NAMESPACE } from '../analysis/document.js';
import type { Finding } from '../analysis/finding.js';
import { type AnalysisInput, readingForAnalysis } from '../analysis/read.js';
import { type CompileTarget, compileWithLosses } from '../compile/compile-view.js';
import { meshConfigOf } from '../compile/mesh-document.js';
import { labelSetsOf } from '../compile/pods.js';
import type { PolicySubject } from '../compile/policy-scope.js';
import type { ConfigInput } from '../documents/file-reader.js';
import { type ExplainQuery, explainIn } from '../explain/explain-in.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { impliedServices } from '../mesh/services.js';
import { type AuthorizationQuery, checkAuthorization } from '../policy/authorization-check.js';
import { type MigratedRbac, migrateRbac } from '../policy/legacy-rbac.js';
import { type RegistrySnapshot, snapshotOf } from '../registry/snapshot.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import { hasError, type Violation } from '../schema/violation.js';
import { type ConfigStore, type ConfigStoreOptions, createConfigStore } from '../store/config-store.js';
import type { AnalyzeOptions } from './analyze-files.js';
import { compileAuthorization } from './authorization-files.js';
import { convertedTo } from './convert-files.js';
import { softened, validateDocuments } from './validate-files.js';

/** Documents that somebody asks about: by themselves, or as if they were in force. */
export interface SentDocuments {
  readonly input: ConfigInput;
  /** Laid over what is in force, with the workloads that registered. */
  readonly withStored: boolean;
}

/** What documents come to, or what is wrong with them. */
export type SentResult<T> =
  | { readonly accepted: true; readonly result: T; readonly warnings: readonly Violation[] }
  | { readonly accepted: false; readonly violations: readonly Violation[] };

export interface SentTools {
  readonly store: ConfigStore;
  readonly registry: () => RegistrySnapshot;
  readonly config: MeshConfig;
  readonly clock: Clock;
}

interface State {
  readonly view: ConfigView;
  readonly registry: RegistrySnapshot;
  /** With what the documents say of the mesh. */
  readonly config: MeshConfig;
}

/** What the CLI tells of files, of documents that were sent to a control plane; nothing takes effect. */
export class SentDocumentsService {
  readonly #tools: SentTools;

  constructor(tools: SentTools) {
    this.#tools = tools;
  }

  /** Clients are served between the texts and the analyzers. */
  async analyze({ input, withStored }: SentDocuments, options: AnalyzeOptions): Promise<readonly Finding[]> {
    const sent = await inTurns(readingForAnalysis(input, DEFAULT_LIMITS));
    const now = this.#tools.clock.wallTime();
    if (!withStored) return inTurns(analyzing(sent, { now, ...options }));
    const registry = this.#tools.registry();
    const services = impliedServices(registry).map(({ host, ports }) => ({
      host,
      ports: ports.map((port) => port.number),
    }));
    const workloads = [...registry.services.values()].flatMap((one) =>
      labelSetsOf(one).map((labels) => ({ namespace: one.namespace, labels })),
    );
    const all = over(await this.#stored(), sent);
    return inTurns(analyzing(all, { now, services, workloads, ...options }));
  }

  validate({ input, withStored }: SentDocuments, strict: boolean) {
    if (!withStored) return validateDocuments(input, { strict });
    const { violations, documents } = this.#tools.store.overlay(input);
    return { violations: strict ? violations : softened(violations), documents };
  }

  compile(sent: SentDocuments, target: CompileTarget) {
    return this.#with(sent, ({ view, registry }) =>
      compileWithLosses(view, registry, this.#tools.config, target),
    );
  }

  explain(sent: SentDocuments, query: ExplainQuery) {
    const { config } = this.#tools;
    return this.#with(sent, ({ view, registry }) => explainIn({ view, registry, config }, query));
  }

  compileAuthorization(sent: SentDocuments, target: PolicySubject) {
    return this.#with(sent, (state) => compileAuthorization(state, target));
  }

  checkAuthorization(sent: SentDocuments, query: AuthorizationQuery) {
    return this.#with(sent, (state) => checkAuthorization(state, query));
  }

  convert(sent: SentDocuments, to: 'gateway-api' | 'istio') {
    // What is not carried out here may be carried out where the documents go.
    return this.#with(sent, ({ view }) => convertedTo(view, to), { allowUnsupported: true });
  }

  /** The old documents, with Services that they may name. */
  migrateRbac({ input, withStored }: SentDocuments, rootNamespace?: string): MigratedRbac {
    const stored = withStored ? [...this.#tools.store.inForce.values()].flatMap(({ files }) => files) : [];
    return migrateRbac([...stored, ...input.files], rootNamespace);
  }

  async #with<T>(
    { input, withStored }: SentDocuments,
    read: (state: State) => T | Promise<T>,
    own: ConfigStoreOptions = { isPreview: true },
  ): Promise<SentResult<T>> {
    const { store, registry, config, clock } = this.#tools;
    const base = withStored ? store : createConfigStore({ clock, logger: silentLogger }, own);
    const { view, violations } = base.overlay(input);
    if (hasError(violations)) return { accepted: false, violations };
    const workloads = withStored ? registry() : snapshotOf([]);
    const result = await read({ view, registry: workloads, config: meshConfigOf(view, config) });
    return { accepted: true, result, warnings: violations };
  }

  async #stored(): Promise<AnalysisInput> {
    const all: AnalysisInput[] = [];
    for (const input of this.#tools.store.inForce.values())
      all.push(await inTurns(readingForAnalysis(input, DEFAULT_LIMITS)));
    return {
      documents: all.flatMap(({ documents }) => documents),
      findings: all.flatMap(({ findings }) => findings),
    };
  }
}

/** What was sent in place of what has the same name. */
function over(stored: AnalysisInput, sent: AnalysisInput): AnalysisInput {
  const own = new Set(sent.documents.map(keyOf));
  const replaced = new Set(stored.documents.filter((one) => own.has(keyOf(one))).map(({ origin }) => origin));
  return {
    documents: [...stored.documents.filter((one) => !own.has(keyOf(one))), ...sent.documents],
    findings: [...stored.findings.filter(({ origin }) => !replaced.has(origin)), ...sent.findings],
  };
}

function keyOf({ group, kind, namespace, name }: AnalysisDocument): string {
  return JSON.stringify([group, kind, namespace || DEFAULT_NAMESPACE, name]);
}
