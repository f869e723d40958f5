import type { Clock } from '../../runtime/clock.js';
import { isEqual } from '../../runtime/equal.js';
import type { Logger } from '../../runtime/log.js';
import { createSignal, type MutableSignal, type Signal } from '../../runtime/signal.js';
import type { ConfigDocument } from '../schema/document.js';
import { formatViolation } from '../schema/format.js';
import { type ConfigLimits, DEFAULT_LIMITS } from '../schema/limits.js';
import { hasError, type Violation } from '../schema/violation.js';
import { checkDocuments } from './check.js';
import { createView } from './config-view.js';
import { type ConfigInput, createFileReader, type FileReader, type SourcesContent } from './file-reader.js';
import type { ConfigView } from './view.js';

/** What became of a proposal. Warnings come with an accepted one, everything wrong with a refused one. */
export type ProposalResult =
  | { readonly accepted: true; readonly revision: number; readonly violations: readonly Violation[] }
  | { readonly accepted: false; readonly violations: readonly Violation[] };

/** A refused configuration; the one before it stays in force. */
export interface RejectedConfig {
  readonly violations: readonly Violation[];
  /** Calendar time in milliseconds since 1970. */
  readonly at: number;
}

/** Holds the configuration in force and decides about proposals for another one. */
export interface ConfigStore {
  /** The last configuration that was accepted; empty (revision 0) at first. */
  readonly current: Signal<ConfigView>;
  /** Warnings about the configuration in force. */
  readonly warnings: Signal<readonly Violation[]>;
  /** What was refused since the last acceptance, if anything. */
  readonly lastRejected: Signal<RejectedConfig | undefined>;
  /** Proposes the full content of a source in place of what it gave before; all or nothing of it takes effect. */
  propose(source: string, input: ConfigInput): ProposalResult;
}

export interface ConfigStoreOptions {
  readonly limits?: Partial<ConfigLimits> | undefined;
  /** Accepts fields that are checked but not carried out; for tools that only validate. */
  readonly allowUnsupported?: boolean | undefined;
}

export interface ConfigStoreTools {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Creates an empty store. */
export function createConfigStore(tools: ConfigStoreTools, options: ConfigStoreOptions = {}): ConfigStore {
  return new Store(options, tools);
}

class Store implements ConfigStore {
  readonly #read: FileReader;
  readonly #allowUnsupported: boolean;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #current: MutableSignal<ConfigView> = createSignal(createView(0, []));
  readonly #warnings: MutableSignal<readonly Violation[]> = createSignal<readonly Violation[]>([]);
  readonly #rejected: MutableSignal<RejectedConfig | undefined> = createSignal<RejectedConfig | undefined>(
    undefined,
  );
  /** What each source proposed last, accepted or not: one source may refer to another. */
  readonly #sources = new Map<string, ConfigInput>();
  /** What is in force. */
  #accepted: Pick<SourcesContent, 'documents' | 'fingerprint'> = { documents: [], fingerprint: '[]' };

  constructor(options: ConfigStoreOptions, tools: ConfigStoreTools) {
    this.#read = createFileReader({ ...DEFAULT_LIMITS, ...options.limits });
    this.#allowUnsupported = options.allowUnsupported ?? false;
    this.#clock = tools.clock;
    this.#logger = tools.logger;
  }

  get current(): Signal<ConfigView> {
    return this.#current;
  }

  get warnings(): Signal<readonly Violation[]> {
    return this.#warnings;
  }

  get lastRejected(): Signal<RejectedConfig | undefined> {
    return this.#rejected;
  }

  propose(source: string, input: ConfigInput): ProposalResult {
    this.#sources.set(source, input);
    const content = this.#read(this.#sources);
    const { revision } = this.#current.value;
    const isSame = isSameContent(content.documents, this.#accepted.documents);
    const view = createView(isSame ? revision : revision + 1, content.documents);
    const violations = [
      ...content.violations,
      ...checkDocuments(content.documents, view, this.#allowUnsupported),
    ];
    return hasError(violations) ? this.#reject(violations) : this.#accept(content, view, violations);
  }

  #accept(content: SourcesContent, view: ConfigView, violations: readonly Violation[]): ProposalResult {
    const { revision } = view;
    const isNews = content.fingerprint !== this.#accepted.fingerprint || this.#rejected.value !== undefined;
    this.#rejected.set(undefined);
    if (!isNews) return { accepted: true, revision, violations: this.#warnings.value };
    this.#accepted = content;
    this.#warnings.set(violations);
    for (const warning of violations) this.#logger.warn({}, formatViolation(warning));
    this.#logger.info({ revision, documents: content.documents.length }, 'configuration accepted');
    // With comments or line breaks alone the revision stays, but the places of the documents are new.
    this.#current.set(view);
    return { accepted: true, revision, violations };
  }

  #reject(violations: readonly Violation[]): ProposalResult {
    this.#rejected.set({ violations, at: this.#clock.wallTime() });
    const { revision } = this.#current.value;
    for (const violation of violations) {
      this.#logger[violation.severity === 'error' ? 'error' : 'warn']({}, formatViolation(violation));
    }
    this.#logger.error({ revision }, 'configuration refused; the last good one stays in force');
    return { accepted: false, violations };
  }
}

function isSameContent(left: readonly ConfigDocument[], right: readonly ConfigDocument[]): boolean {
  return (
    left.length === right.length && left.every((document, index) => isSameDocument(document, right[index]))
  );
}

function isSameDocument(left: ConfigDocument, right: ConfigDocument | undefined): boolean {
  if (right === undefined) return false;
  return (['kind', 'namespace', 'name', 'apiVersion', 'labels', 'annotations', 'spec'] as const).every(
    (field) => isEqual(left[field], right[field]),
  );
}
