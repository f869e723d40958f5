import type { Clock } from '../../runtime/clock.js';
import type { Logger } from '../../runtime/log.js';
import { createSignal, type MutableSignal, type Signal } from '../../runtime/signal.js';
import { checkDocuments, soften } from '../documents/check.js';
import { createView } from '../documents/config-view.js';
import { type ConfigDocument, isSameDocument, keyOf } from '../documents/document.js';
import {
  type ConfigInput,
  createFileReader,
  type FileReader,
  type SourcesContent,
} from '../documents/file-reader.js';
import type { ConfigView } from '../kinds/view.js';
import { formatViolation } from '../schema/format.js';
import { type ConfigLimits, DEFAULT_LIMITS } from '../schema/limits.js';
import { hasError, type Violation } from '../schema/violation.js';
import { type MassRemovalOptions, massRemovals, massRemovalViolation, type Removal } from './mass-removal.js';
import { STORE_SOURCE } from './store-source.js';

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
  /** What was proposed and is held back because of how much it would take away, until it is confirmed or changed. */
  readonly held: Signal<HeldChange | undefined>;
  /** Proposes the full content of a source in place of what it gave before; all or nothing of it takes effect. */
  propose(source: string, input: ConfigInput, options?: ProposeOptions): ProposalResult;
  /** Takes what was in force when the process ended last; it is no change of anybody. */
  restore(inputs: ReadonlyMap<string, ConfigInput>, revision: number): ProposalResult;
  /** What a proposal would come to; nothing takes effect. */
  check(source: string, input: ConfigInput, options?: ProposeOptions): CheckedProposal;
  /** Documents laid over those in force: in place of what has the same name, beside the rest. Nothing takes effect. */
  overlay(input: ConfigInput): Overlay;
  /** The content of each source that is in force. */
  readonly inForce: ReadonlyMap<string, ConfigInput>;
  /** Takes what is held back into force; undefined when nothing is. */
  confirm(): ProposalResult | undefined;
  /** Hears of every view that comes into force, with the one before; `source` is who proposed it. */
  onChange(listener: (change: ConfigChange) => void): () => void;
}

/** How a proposal is taken. */
export interface ProposeOptions {
  /** It may take away as much as it likes. Default false. */
  readonly isConfirmed?: boolean | undefined;
  /** The revision is at least this one, if anything changes. */
  readonly revision?: number | undefined;
}

/** A proposal that was looked at. */
export interface CheckedProposal {
  readonly view: ConfigView;
  readonly violations: readonly Violation[];
  /** More than may go at once; then it takes a confirmation. */
  readonly removals: readonly Removal[];
}

/** A configuration with some documents replaced. */
export interface Overlay {
  readonly view: ConfigView;
  readonly violations: readonly Violation[];
  /** How many documents were laid over it. */
  readonly documents: number;
}

/** A change that waits for a confirmation. */
export interface HeldChange {
  readonly source: string;
  readonly removals: readonly Removal[];
  /** Calendar time in milliseconds since 1970. */
  readonly at: number;
}

/** A view came into force. */
export interface ConfigChange {
  readonly source: string;
  readonly before: ConfigView;
  readonly after: ConfigView;
}

export interface ConfigStoreOptions {
  readonly limits?: Partial<ConfigLimits> | undefined;
  /** Accepts fields that are checked but not carried out; for tools that only validate. */
  readonly allowUnsupported?: boolean | undefined;
  /**
   * Only warns of what is missing or not carried out where Istio takes it: subsets without a DestinationRule, fields and
   * kinds without an effect here. For tools that look at a part of a configuration.
   */
  readonly isPreview?: boolean | undefined;
  /** When changes are held back because of how much they would take away; undefined = never. */
  readonly massRemoval?: MassRemovalOptions | undefined;
}

export interface ConfigStoreTools {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Creates an empty store. */
export function createConfigStore(tools: ConfigStoreTools, options: ConfigStoreOptions = {}): ConfigStore {
  return new Store(options, tools);
}

interface Accepted {
  readonly content: SourcesContent;
  readonly view: ConfigView;
  readonly violations: readonly Violation[];
}

class Store implements ConfigStore {
  readonly #read: FileReader;
  readonly #limits: ConfigLimits;
  readonly #allowUnsupported: boolean;
  readonly #isPreview: boolean;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #massRemoval: MassRemovalOptions | undefined;
  readonly #listeners = new Set<(change: ConfigChange) => void>();
  readonly #held = createSignal<HeldChange | undefined>(undefined);
  readonly #current: MutableSignal<ConfigView>;
  readonly #warnings: MutableSignal<readonly Violation[]> = createSignal<readonly Violation[]>([]);
  readonly #rejected: MutableSignal<RejectedConfig | undefined> = createSignal<RejectedConfig | undefined>(
    undefined,
  );
  /** What each source proposed last, accepted or not: one source may refer to another. */
  readonly #sources = new Map<string, ConfigInput>();
  #inForce: ReadonlyMap<string, ConfigInput> = new Map();
  /** What is in force. */
  #accepted: Pick<SourcesContent, 'documents' | 'fingerprint'> = { documents: [], fingerprint: '[]' };

  constructor(options: ConfigStoreOptions, tools: ConfigStoreTools) {
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#read = createFileReader(this.#limits);
    this.#allowUnsupported = options.allowUnsupported ?? false;
    this.#isPreview = options.isPreview ?? false;
    this.#massRemoval = options.massRemoval;
    this.#current = createSignal(createView(0, []));
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

  get held(): Signal<HeldChange | undefined> {
    return this.#held;
  }

  propose(source: string, input: ConfigInput, options: ProposeOptions = {}): ProposalResult {
    this.#sources.set(source, input);
    return this.#decide(source, options);
  }

  restore(inputs: ReadonlyMap<string, ConfigInput>, revision: number): ProposalResult {
    for (const [source, input] of inputs) this.#sources.set(source, input);
    const result = this.#decide('restored', { isConfirmed: true, revision });
    // Revisions are counted on where nothing is left, too.
    if (this.#current.value.revision < revision)
      this.#current.set(createView(revision, this.#accepted.documents, this.#current.value));
    return result;
  }

  check(source: string, input: ConfigInput, options: ProposeOptions = {}): CheckedProposal {
    return this.#judge(new Map(this.#sources).set(source, input), options);
  }

  overlay(input: ConfigInput): Overlay {
    const sent = createFileReader(this.#limits)([['documents', input]]);
    const own = new Set(sent.documents.map(({ kind, namespace, name }) => keyOf(kind, namespace, name)));
    const rest = this.#accepted.documents.filter(
      ({ kind, namespace, name }) => !own.has(keyOf(kind, namespace, name)),
    );
    const documents = [...rest, ...sent.documents].map((one, order) => one.at(order));
    const view = createView(this.#current.value.revision, documents);
    const violations = [...sent.violations, ...checkDocuments(documents, view, this.#allowUnsupported)];
    return { view, violations, documents: sent.documents.length };
  }

  get inForce(): ReadonlyMap<string, ConfigInput> {
    return this.#inForce;
  }

  confirm(): ProposalResult | undefined {
    const held = this.#held.value;
    return held && this.#decide(held.source, { isConfirmed: true });
  }

  onChange(listener: (change: ConfigChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #decide(source: string, options: ProposeOptions): ProposalResult {
    const { content, view, violations, removals } = this.#judge(this.#sources, options);
    const isHeld = removals.length > 0 && !hasError(violations);
    this.#held.set(isHeld ? { source, removals, at: this.#clock.wallTime() } : undefined);
    if (isHeld) return this.#reject([...violations, massRemovalViolation(source, removals)]);
    return hasError(violations)
      ? this.#reject(violations)
      : this.#accept(source, { content, view, violations });
  }

  #judge(
    sources: ReadonlyMap<string, ConfigInput>,
    { isConfirmed = false, revision: wanted = 0 }: ProposeOptions,
  ) {
    const content = this.#read(inOrder(sources));
    const { revision } = this.#current.value;
    const isSame = isSameContent(content.documents, this.#accepted.documents);
    const next = isSame ? revision : Math.max(revision + 1, wanted);
    const view = createView(next, content.documents, this.#current.value);
    const found = [...content.violations, ...checkDocuments(content.documents, view, this.#allowUnsupported)];
    const violations = this.#isPreview ? found.map(soften) : found;
    const isGuarded = this.#massRemoval !== undefined && !isConfirmed && !isSame;
    const removals = isGuarded ? massRemovals(this.#current.value, view, this.#massRemoval) : [];
    return { content, view, violations, removals };
  }

  #accept(source: string, { content, view, violations }: Accepted): ProposalResult {
    const { revision } = view;
    const isNews = content.fingerprint !== this.#accepted.fingerprint || this.#rejected.value !== undefined;
    this.#rejected.set(undefined);
    this.#inForce = new Map(this.#sources);
    if (!isNews) return { accepted: true, revision, violations: this.#warnings.value };
    const before = this.#current.value;
    this.#accepted = content;
    this.#warnings.set(violations);
    for (const warning of violations) this.#logger.warn({}, formatViolation(warning));
    this.#logger.info({ revision, documents: content.documents.length }, 'configuration accepted');
    // With comments or line breaks alone the revision stays, but the places of the documents are new.
    this.#current.set(view);
    // Whoever begins to listen meanwhile has the new view already.
    const listeners = [...this.#listeners];
    for (const listener of listeners) listener({ source, before, after: view });
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

/** Who loads first does not hang on who was quicker: what clients wrote is younger than what other sources have. */
function inOrder(sources: ReadonlyMap<string, ConfigInput>): readonly (readonly [string, ConfigInput])[] {
  const own = sources.get(STORE_SOURCE);
  const others = [...sources].filter(([name]) => name !== STORE_SOURCE);
  return own === undefined ? others : [...others, [STORE_SOURCE, own]];
}

function isSameContent(left: readonly ConfigDocument[], right: readonly ConfigDocument[]): boolean {
  return (
    left.length === right.length && left.every((document, index) => isSameDocument(document, right[index]))
  );
}
