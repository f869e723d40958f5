import type { Clock } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import { meshConfigOf } from '../compile/mesh-document.js';
import { type ExplainQuery, explainIn } from '../explain/explain-in.js';
import type { RequestExplanation } from '../explain/explanation.js';
import { metadataOf, observedAt } from '../gateway-api/observed.js';
import { statusIn } from '../gateway-api/status-in.js';
import { serviceReports } from '../insight/service-report.js';
import type { Document, Origin } from '../kinds/view.js';
import { yamlKind } from '../kinds/yaml-kind.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import type { ConfigStore } from '../store/config-store.js';
import type { History, ObjectChange } from '../store/history.js';
import { allDocuments } from '../store/mass-removal.js';
import { type ObjectName, objectText, SOURCE_ANNOTATION, shownObject } from '../store/object.js';
import type { Batch, BatchResult, ObjectStore, RequestedChange } from '../store/object-store.js';
import { STORE_SOURCE } from '../store/store-source.js';
import { type Preview, type PreviewOptions, previewOf } from './preview.js';

/** An object in force, as clients read it. */
export interface ShownObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

/** What is listed. */
export interface ObjectFilter {
  readonly kind?: string | undefined;
  readonly namespace?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** A way back: the changes, and what can not go that way. */
export interface Rollback {
  readonly result: BatchResult;
  /** Objects that stand in files, with where. */
  readonly left: readonly string[];
}

export interface ConfigServiceTools {
  readonly store: ConfigStore;
  readonly objects: ObjectStore;
  readonly history: History;
  readonly registry: () => RegistrySnapshot;
  readonly config: MeshConfig;
  readonly clock: Clock;
}

/** Everything that operators do with the configuration. */
export class ConfigService {
  readonly #tools: ConfigServiceTools;

  constructor(tools: ConfigServiceTools) {
    this.#tools = tools;
  }

  get revision(): number {
    return this.#tools.store.current.value.revision;
  }

  get store(): ConfigStore {
    return this.#tools.store;
  }

  get history(): History {
    return this.#tools.history;
  }

  list({ kind, namespace, labels = {} }: ObjectFilter): readonly ShownObject[] {
    return allDocuments(this.#tools.store.current.value)
      .filter(
        (one) =>
          (kind === undefined || one.kind === kind) &&
          (namespace === undefined || one.namespace === namespace) &&
          Object.entries(labels).every(([key, value]) => one.labels[key] === value),
      )
      .map((one) => this.#shown(one));
  }

  get(name: ObjectName): ShownObject | undefined {
    const found = this.#tools.store.current.value.get(name.kind, name.namespace, name.name);
    return found && this.#shown(found);
  }

  /** Where an object stands. */
  originOf(name: ObjectName): Origin | undefined {
    return this.#tools.store.current.value.get(name.kind, name.namespace, name.name)?.origin;
  }

  apply(batch: Batch): BatchResult {
    return this.#tools.objects.apply(batch);
  }

  /** What a batch would come to, in resources and in what becomes of requests. */
  async preview(batch: Batch, options: PreviewOptions): Promise<Preview> {
    const result = this.apply({ ...batch, isDryRun: true, isConfirmed: true });
    if (result.kind !== 'accepted') return { result, profiles: [], requests: [] };
    const { config, registry } = this.#tools;
    const seen = this.apply({ ...batch, isDryRun: true });
    const compared = await previewOf(result, { ...options, config, registry: registry() });
    return { ...compared, result: seen };
  }

  /** @throws MeshError `INMESH_OPTION_INVALID` when there was no such revision, or it is not known any more what was there. */
  changesBetween(from: number, to: number): readonly ObjectChange[] {
    for (const one of [from, to])
      if (one > this.revision || one < 0)
        throw new MeshError('INMESH_OPTION_INVALID', `there was no revision ${one}`, {
          hint: `The last one is ${this.revision}: see inmesh history`,
        });
    const changes = this.#tools.history.between(from, to);
    if (changes !== undefined) return changes;
    throw new MeshError(
      'INMESH_OPTION_INVALID',
      `what changed from revision ${from} to ${to} is not known any more`,
      {
        hint: 'See inmesh history for the revisions that are',
      },
    );
  }

  /** Makes the objects of the store what they were in a revision. */
  rollback(to: number, options: Omit<Batch, 'changes'>): Rollback {
    const changes: RequestedChange[] = [];
    const left: string[] = [];
    for (const { before, after, ...name } of this.changesBetween(this.revision, to)) {
      const inForce = this.originOf(name);
      const isElsewhere = inForce !== undefined && this.#tools.objects.get(name) === undefined;
      if (isElsewhere) left.push(`${objectText(name)} (${inForce.file}:${inForce.line})`);
      else if (after !== undefined) changes.push({ op: 'apply', object: after });
      else if (before !== undefined) changes.push({ op: 'delete', ...name });
    }
    const message = options.message ?? `rollback to ${to}`;
    return { result: this.apply({ ...options, message, changes }), left };
  }

  /** The services of the mesh, also those that only workloads tell of. */
  services(wanted: { readonly namespace?: string | undefined; readonly name?: string | undefined }) {
    const { store, registry, config } = this.#tools;
    const view = store.current.value;
    return serviceReports({ view, registry: registry(), config: meshConfigOf(view, config) }, wanted);
  }

  explain(query: ExplainQuery): Promise<RequestExplanation> {
    const { store, registry, config } = this.#tools;
    return explainIn({ view: store.current.value, registry: registry(), config }, query);
  }

  #shown(document: Document): ShownObject {
    const { kind, namespace, name, origin } = document;
    const version = this.#tools.history.versionOf(document);
    const status = statusIn(this.#tools.store.current.value, this.#tools.registry()).get(document);
    const raw = shownObject(document.raw());
    // Of what has a status one wants to know whether it is about the object as it is.
    const generation = status === undefined || 'generation' in metadataOf(document) ? undefined : version;
    const { apiVersion: _, kind: _kind, metadata: _metadata, status: _status, ...rest } = raw;
    const isOwn = this.#tools.objects.get({ kind, namespace, name }) !== undefined;
    return {
      // The order in which people read them; `raw` has them in the order of whoever wrote the object.
      apiVersion: document.apiVersion,
      kind: yamlKind(kind),
      metadata: {
        ...(typeof raw['metadata'] === 'object' ? raw['metadata'] : {}),
        namespace,
        ...(version !== undefined && { resourceVersion: String(version) }),
        ...(generation !== undefined && { generation }),
        annotations: {
          ...document.annotations,
          [SOURCE_ANNOTATION]: isOwn ? STORE_SOURCE : `${origin.file}:${origin.line}`,
        },
      },
      ...rest,
      ...(status !== undefined && {
        status: generation === undefined ? status : observedAt(generation, status),
      }),
    };
  }
}
