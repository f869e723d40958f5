import { z } from 'zod';
import { suggest } from '../schema/suggest.js';
import { kindNamed } from './kind-names.js';
import { KIND_NAMES, KINDS } from './kinds.js';
import type { KindName } from './view.js';

/** A JSON Schema, or a part of one. */
export type JsonSchema = Readonly<Record<string, unknown>>;

const DIALECT = 'http://json-schema.org/draft-07/schema#';

/**
 * The JSON Schema of the documents of one kind, for editors, made from the definition that the control plane reads by;
 * undefined when there is no such kind. The kind may be given by its plural or its short name.
 */
export function jsonSchemaOf(kind: string): JsonSchema | undefined {
  const name = kindNamed(kind);
  return name === undefined ? undefined : { $schema: DIALECT, ...definitionOf(name) };
}

/** The kind that was probably meant. */
export function closestKind(name: string): string | undefined {
  return suggest(name, KIND_NAMES);
}

/** Every kind that has a JSON Schema. */
export const SCHEMA_KINDS: readonly string[] = KIND_NAMES;

/**
 * One JSON Schema for files that hold any kinds, and lists of them. Documents of unknown kinds are left alone, so that
 * it may stand for every YAML file of a folder; only a kind of Istio's groups must be one that exists.
 */
export function jsonSchemaOfAll(): JsonSchema {
  const kinds = [...new Set(KIND_NAMES.map(plainName))];
  const own = KIND_NAMES.filter((kind) => KINDS[kind].apiVersions.some((one) => OWN_GROUPS.test(one)));
  return {
    $schema: DIALECT,
    type: 'object',
    required: ['kind'],
    properties: {
      kind: { anyOf: [{ enum: kinds }, { type: 'string' }] },
      items: { type: 'array', items: { $ref: '#' } },
    },
    allOf: [
      implies(
        {
          properties: { apiVersion: { type: 'string', pattern: OWN_GROUPS.source } },
          required: ['apiVersion'],
        },
        { properties: { kind: { enum: [...own, ...own.map((kind) => `${kind}List`)] } } },
      ),
      ...KIND_NAMES.map((kind) =>
        implies(
          {
            properties: { kind: { const: plainName(kind) }, ...versionsOfNamesake(kind) },
            required: ['kind'],
          },
          { $ref: `#/definitions/${kind}` },
        ),
      ),
    ],
    definitions: Object.fromEntries(KIND_NAMES.map((kind) => [kind, definitionOf(kind)])),
  };
}

/** A document that fits the first must fit the second. */
function implies(condition: JsonSchema, consequence: JsonSchema): JsonSchema {
  // As entries: an object with a field of this name looks like a promise.
  return Object.fromEntries([
    ['if', condition],
    // oxlint-disable-next-line no-thenable -- A keyword of JSON Schema; as it is no function, nobody awaits it.
    ['then', consequence],
  ]);
}

/** Groups whose kinds are all known here, and have nothing beside `spec` and `status`. */
const OWN_GROUPS = /^(?:networking|security|telemetry|extensions)\.istio\.io\/|^inmesh\.dev\//;

/** The kind as documents write it: without the group that tells Gateways apart. */
function plainName(kind: KindName): string {
  const [name = kind] = kind.split('.');
  return name;
}

/** A kind that shares its name with another is told by its group. */
function versionsOfNamesake(kind: KindName): JsonSchema {
  const isShared = KIND_NAMES.some((other) => other !== kind && plainName(other) === plainName(kind));
  return isShared ? { apiVersion: { enum: KINDS[kind].apiVersions } } : {};
}

function definitionOf(kind: KindName): JsonSchema {
  const { apiVersions, schema, isSpec } = KINDS[kind];
  const content = shapeOf(schema);
  const frame = {
    type: 'object',
    title: plainName(kind),
    required: ['apiVersion', 'kind', 'metadata'],
    properties: {
      apiVersion: { enum: apiVersions },
      kind: { const: plainName(kind) },
      metadata: METADATA,
      status: { type: 'object' },
    },
  };
  if (isSpec === true) return { ...frame, allOf: [content] };
  const isOwn = apiVersions.every((version) => OWN_GROUPS.test(version));
  return {
    ...frame,
    properties: { ...frame.properties, spec: content },
    ...(isOwn ? { additionalProperties: false } : {}),
  };
}

const METADATA: JsonSchema = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string', maxLength: 253 },
    namespace: { type: 'string' },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    annotations: { type: 'object', additionalProperties: { type: 'string' } },
  },
};

function shapeOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-7',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      delete jsonSchema.$schema;
      // Every whole number has these bounds of zod's: noise to people who read the schema.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
}
