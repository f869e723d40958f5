import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { isKindName, KINDS } from '../../src/control-plane/kinds/kinds.js';
import { formatViolations } from '../../src/control-plane/schema/format.js';
import { createConfigStore } from '../../src/control-plane/store/config-store.js';
import { silentLogger } from '../../src/runtime/log.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';
import { vectorJson, vectorSuite } from './score.js';

const folder = new URL('../../../shared/vectors/istio/', import.meta.url);
const hasVectors = existsSync(folder);
const tools = { clock: createFakeClock(), logger: silentLogger };

interface ValidationCase {
  readonly id: string;
  readonly name: string;
  readonly expect: { readonly valid: boolean };
  readonly resource: { readonly kind: string };
}

const VALIDATION = 'istio/validation.json';

vectorSuite({
  file: VALIDATION,
  cases: (vectorJson(VALIDATION) as readonly ValidationCase[] | undefined) ?? [],
  title: ({ id, name }) => `${id} ${name}`,
  skip({ resource: { kind } }) {
    return isKindName(kind) ? undefined : `the kind ${kind} is not read`;
  },
  run(one) {
    const store = createConfigStore(tools, { allowUnsupported: true });
    const { violations } = store.propose('vector', {
      files: [{ file: one.id, content: JSON.stringify(one.resource) }],
    });
    // A vector is one document: what it refers to is elsewhere.
    const errors = violations.filter(
      ({ code, severity }) => severity === 'error' && code !== 'INMESH_CONFIG_REFERENCE',
    );
    expect(errors.length === 0, formatViolations(errors)).toBe(one.expect.valid);
  },
});

describe('published bookinfo documents', () => {
  const networking = new URL('samples/samples/bookinfo/networking/', folder);
  const names = hasVectors ? readdirSync(networking) : [];
  const read = (name: string) => ({ file: name, content: readFileSync(new URL(name, networking)) });

  test('all of them load, unchanged, next to the rules they belong to', () => {
    const rejected = names.flatMap((name) => {
      const isComplete = name.startsWith('destination-rule') || name.startsWith('fault-injection');
      const files = (isComplete ? [name] : ['destination-rule-all.yaml', name]).map(read);
      const { accepted, violations } = createConfigStore(tools).propose('bookinfo', { files });
      return accepted ? [] : [`${name}: ${formatViolations(violations)}`];
    });
    expect(rejected).toEqual([]);
  });
});

/** The part of OpenAPI that says which fields there are. */
interface OpenApi {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, OpenApi>>;
  readonly additionalProperties?: OpenApi | boolean;
  readonly items?: OpenApi;
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
}

describe('published schemas', () => {
  test('the fields, their types, values and necessity are those of the custom resource definitions', () => {
    const differences: string[] = [];
    for (const [kind, schema] of publishedSchemas()) compare(schema, KINDS[kind].schema, kind, differences);
    expect(differences).toEqual([]);
  });
});

function publishedSchemas(): readonly (readonly [keyof typeof KINDS, OpenApi])[] {
  const file = new URL('crd-schema/istio-crds.gen.yaml', folder);
  if (!hasVectors) return [];
  // One definition after the other: only those that are needed are parsed.
  const texts = readFileSync(file, 'utf8').split(/^---$/m);
  return texts.flatMap((text) => {
    const kind = /^ {4}kind: (\w+)$/m.exec(text)?.[1] ?? '';
    if (!isKindName(kind)) return [];
    const definition: CustomResourceDefinition = parse(text);
    const { versions } = definition.spec;
    const newest = versions.find(({ name }) => name === 'v1') ?? versions[0];
    const schema = newest?.schema.openAPIV3Schema.properties?.['spec'];
    return schema === undefined ? [] : [[kind, schema] as const];
  });
}

interface CustomResourceDefinition {
  readonly spec: {
    readonly versions: readonly {
      readonly name: string;
      readonly schema: { readonly openAPIV3Schema: OpenApi };
    }[];
  };
}

const ZOD_TYPES: Readonly<Record<string, readonly string[]>> = {
  string: ['string', 'enum'],
  integer: ['number'],
  number: ['number'],
  boolean: ['boolean'],
  array: ['array'],
  object: ['object', 'record'],
};

function compare(published: OpenApi, schema: z.core.$ZodType, path: string, differences: string[]): void {
  const own = inner(schema);
  const { type } = own._zod.def;
  if (!(ZOD_TYPES[published.type ?? ''] ?? []).includes(type)) {
    differences.push(`${path}: published ${published.type}, own ${type}`);
  } else if (own instanceof z.ZodEnum) {
    const values = [...(published.enum ?? [])].sort();
    if (String([...own.options].sort()) !== String(values)) differences.push(`${path}: published ${values}`);
  } else if (own instanceof z.ZodArray) {
    compare(published.items ?? {}, own.element, `${path}[]`, differences);
  } else if (own instanceof z.ZodRecord) {
    const values = published.additionalProperties;
    if (typeof values === 'object') compare(values, own.valueType, `${path}{}`, differences);
  } else if (own instanceof z.ZodObject) {
    compareFields(published, own, path, differences);
  }
}

function compareFields(published: OpenApi, own: z.ZodObject, path: string, differences: string[]): void {
  const fields = published.properties ?? {};
  for (const [name, field] of Object.entries(fields)) {
    // Names with an underscore are older spellings of the same field.
    if (name.includes('_')) continue;
    const schema: z.ZodType | undefined = own.shape[name];
    if (schema === undefined) {
      differences.push(`${path}.${name}: not read`);
      continue;
    }
    const isRequired = !(schema instanceof z.ZodOptional);
    if (isRequired !== (published.required ?? []).includes(name)) {
      const isKnown = isRequired && REQUIRED_BY_WEBHOOK.test(`${path}.${name}`);
      if (!isKnown) differences.push(`${path}.${name}: own required ${isRequired}`);
    }
    compare(field, schema, `${path}.${name}`, differences);
  }
  const unknown = Object.keys(own.shape).filter((name) => !(name in fields));
  for (const name of unknown) differences.push(`${path}.${name}: not published`);
}

/** Fields that Istio requires by the rules of its webhook instead of its schema. */
const REQUIRED_BY_WEBHOOK = /\.(?:port\.number|http2KeepAlive\.\w+)$/;

function inner(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return inner(schema.def.innerType);
  if (schema instanceof z.ZodPipe) return inner(schema.def.in);
  return schema;
}
