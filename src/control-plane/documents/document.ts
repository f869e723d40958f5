import { z } from 'zod';
import { isEqual } from '../../runtime/equal.js';
import { mapOf } from '../kinds/fields.js';
import { isKindName, KINDS, kindNameOf } from '../kinds/kinds.js';
import { isDnsLabel } from '../kinds/names.js';
import type { Document, FieldPath, KindName, KindSpecs, Origin } from '../kinds/view.js';
import type { ConfigFile, Place } from '../schema/config-file.js';
import { checkStructure } from '../schema/structure.js';
import { suggest } from '../schema/suggest.js';
import { isPlainObject, type PlainObject, type PlainValue } from '../schema/value.js';
import type { RuleViolation, Violation } from '../schema/violation.js';
import { UNSUPPORTED_KINDS, unsupportedKind } from './unsupported.js';

/** What tells one object from all others. */
export function keyOf(kind: KindName, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

/** Whether two documents say the same, wherever they stand. */
export function isSameDocument(left: Document, right: Document | undefined): boolean {
  if (left === right) return true;
  if (right === undefined) return false;
  return (['kind', 'namespace', 'name', 'apiVersion', 'labels', 'annotations', 'spec'] as const).every(
    (field) => isEqual(left[field], right[field]),
  );
}

/** Where a document stands: its file, its number in the stream, and the way to it (through the items of a List). */
interface Seat {
  readonly file: ConfigFile;
  readonly index: number;
  readonly prefix: FieldPath;
}

/** A document that was read from a file. */
export class ConfigDocument<K extends KindName = KindName> implements Document<K> {
  readonly apiVersion: string;
  readonly kind: K;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: KindSpecs[K];
  readonly origin: Origin;
  readonly order: number;
  /** `metadata.creationTimestamp`, which whoever exports a cluster has in its files; undefined = it says none. */
  readonly createdMs: number | undefined;
  /** What tells it from all others. */
  readonly key: string;
  readonly #seat: Seat;

  constructor(content: Content<K>, seat: Seat, order: number) {
    this.apiVersion = content.apiVersion;
    this.kind = content.kind;
    this.name = content.name;
    this.namespace = content.namespace;
    this.labels = content.labels;
    this.annotations = content.annotations;
    this.spec = content.spec;
    this.origin = content.origin;
    this.createdMs = content.createdMs;
    this.order = order;
    this.key = keyOf(content.kind, content.namespace, content.name);
    this.#seat = seat;
  }

  position(path: FieldPath): Origin {
    return this.#place(path, false).origin;
  }

  raw(): PlainObject {
    const { file, index, prefix } = this.#seat;
    let at: unknown = file.value(index);
    for (const step of prefix) at = (at as Readonly<Record<string | number, unknown>>)[step];
    // It was read from there.
    return at as PlainObject;
  }

  /** The same document at another place in the load order. */
  at(order: number): ConfigDocument<K> {
    return order === this.order ? this : new ConfigDocument(this, this.#seat, order);
  }

  /** This document with the content of another that says the same. */
  like(other: ConfigDocument): ConfigDocument {
    return new ConfigDocument(
      { ...other, origin: this.origin, createdMs: this.createdMs },
      this.#seat,
      this.order,
    );
  }

  /** A complaint of a rule about this document, with its place. */
  locate(violation: RuleViolation): Violation {
    const place = this.#place(violation.path, violation.atKey === true);
    return { ...violation, resource: `${this.kind} ${this.namespace}/${this.name}`, ...place };
  }

  #place(path: FieldPath, atKey: boolean): Place {
    const { file, index, prefix } = this.#seat;
    return file.place(index, [...prefix, ...path], atKey);
  }
}

const ROOT: FieldPath = [];

interface Content<K extends KindName> extends Omit<Document<K>, 'order' | 'position' | 'raw'> {
  readonly createdMs: number | undefined;
}

const metadataSchema = z.object({
  name: z.string().refine((name) => name.length <= 253 && name.split('.').every(isDnsLabel), {
    message: 'must be letters, digits, "-" and "."',
  }),
  namespace: z.string().optional(),
  labels: mapOf(z.string()).optional(),
  annotations: mapOf(z.string()).optional(),
  // A store's word on the object: what can't be read is as good as none.
  creationTimestamp: z.unknown().optional(),
});

/** What a file holds. */
export interface FileContent {
  readonly documents: readonly ConfigDocument[];
  readonly violations: readonly Violation[];
}

/** Reads all documents of a file and checks each by itself: its syntax, its kind and the structure of its fields. */
export function readDocuments(file: ConfigFile, maxViolations: number): FileContent {
  const read = file.read();
  const documents: ConfigDocument[] = [];
  const violations: Violation[] = [...read.violations];
  const pending = read.documents.map(({ index, value }) => ({
    seat: { file, index, prefix: ROOT },
    value,
  }));
  for (const { seat, value } of pending) {
    // The items of a list join the queue; the caps on values and depth bound it.
    const items = itemsOf(value);
    for (const [number, item] of (items ?? []).entries()) {
      pending.push({ seat: { ...seat, prefix: [...seat.prefix, 'items', number] }, value: item });
    }
    if (items !== undefined) continue;
    const result = readDocument(value, seat);
    if (result instanceof ConfigDocument) documents.push(result);
    else violations.push(...result);
    if (violations.length >= maxViolations) break;
  }
  return { documents, violations: violations.slice(0, maxViolations) };
}

/** The objects of a Kubernetes list (`kubectl get -o yaml` writes them). */
function itemsOf(value: PlainValue): readonly PlainValue[] | undefined {
  if (!isPlainObject(value)) return undefined;
  const { kind, items } = value;
  const isList = typeof kind === 'string' && kind.endsWith('List') && Array.isArray(items);
  return isList ? items : undefined;
}

function readDocument(value: PlainValue, seat: Seat): ConfigDocument | readonly Violation[] {
  const refuse = (violations: readonly RuleViolation[], resource?: string): readonly Violation[] =>
    violations.map((one) => ({
      ...one,
      resource,
      ...seat.file.place(seat.index, [...seat.prefix, ...one.path], one.atKey === true),
    }));
  if (!isPlainObject(value))
    return refuse([invalid([], 'a document must be a map with apiVersion, kind and metadata')]);
  const { apiVersion } = value;
  const kind = typeof value['kind'] === 'string' ? kindNameOf(value['kind'], apiVersion) : value['kind'];
  if (typeof kind !== 'string' || !isKindName(kind)) return refuse([unknownKind(kind)]);
  const version = checkApiVersion(kind, apiVersion);
  const metadata = checkStructure(metadataSchema, value['metadata'] ?? Object.create(null), ['metadata']);
  const { schema, isSpec } = KINDS[kind];
  const spec =
    isSpec === true ? checkStructure(schema, value, ROOT) : checkStructure(schema, specOf(value), ['spec']);
  const violations = [...version, ...checkFields(kind, value), ...metadata.violations, ...spec.violations];
  if (metadata.value === undefined || typeof apiVersion !== 'string' || violations.length > 0) {
    const name = metadata.value?.name;
    return refuse(
      violations,
      name === undefined ? undefined : `${kind} ${metadata.value?.namespace ?? 'default'}/${name}`,
    );
  }
  const { name, namespace = 'default', labels = {}, annotations = {}, creationTimestamp } = metadata.value;
  const content = {
    apiVersion,
    kind,
    name,
    namespace,
    labels,
    annotations,
    // The schema of this kind has checked the value, and KindSpecs[kind] is that schema's output.
    spec: freeze(spec.value) as KindSpecs[KindName],
    origin: seat.file.place(seat.index, seat.prefix, false).origin,
    createdMs: timeOf(creationTimestamp),
  };
  return new ConfigDocument(content, seat, 0);
}

function timeOf(timestamp: unknown): number | undefined {
  const time = typeof timestamp === 'string' ? Date.parse(timestamp) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

function specOf(value: PlainObject): PlainValue {
  return value['spec'] ?? {};
}

function checkApiVersion(kind: KindName, apiVersion: PlainValue | undefined): readonly RuleViolation[] {
  const { apiVersions } = KINDS[kind];
  if (typeof apiVersion === 'string' && apiVersions.includes(apiVersion)) return [];
  const given = apiVersion === undefined ? 'none is given' : `not ${JSON.stringify(apiVersion)}`;
  const message = `the apiVersion of ${kind} is ${apiVersions.join(' or ')}; ${given}`;
  return [invalid(['apiVersion'], message)];
}

/** These kinds have no fields next to `spec`; Kubernetes' own kinds do (a ServiceAccount's `secrets`). */
function checkFields(kind: KindName, value: PlainObject): readonly RuleViolation[] {
  const isCustom = KINDS[kind].apiVersions.every((version) => /istio\.io\/|^gateway\./.test(version));
  if (!isCustom) return [];
  const known = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];
  return Object.keys(value)
    .filter((key) => !known.includes(key))
    .map((key) => ({
      code: 'INMESH_CONFIG_UNKNOWN_FIELD',
      severity: 'error',
      message: `unknown field ${JSON.stringify(key.slice(0, 80))}`,
      path: [key],
      atKey: true,
      suggestion: suggest(key, known),
    }));
}

function unknownKind(kind: PlainValue | undefined): RuleViolation {
  const path = ['kind'];
  if (typeof kind !== 'string') return invalid(path, 'a document needs a kind, such as VirtualService');
  if (UNSUPPORTED_KINDS.has(kind)) return unsupportedKind(kind);
  return {
    code: 'INMESH_CONFIG_UNKNOWN_KIND',
    severity: 'error',
    message: `unknown kind ${JSON.stringify(kind.slice(0, 80))}; known are ${Object.keys(KINDS).join(', ')}`,
    path,
    suggestion: suggest(kind, Object.keys(KINDS)),
  };
}

function invalid(path: FieldPath, message: string): RuleViolation {
  return { code: 'INMESH_CONFIG_INVALID', severity: 'error', message, path };
}

/** Freezes a plain value with all its parts. */
function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) freeze(part);
  }
  return value;
}
