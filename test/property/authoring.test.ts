import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { defineMesh, document, fromYaml, type MeshDocument, toYaml } from '../../src/config.js';
// Loaded here, so that no test waits for what it loads on demand.
import '../../src/control-plane.js';
import { yamlText } from '../../src/config/yaml-text.js';
import { KIND_NAMES, KINDS } from '../../src/control-plane/kinds/kinds.js';

/** Texts that YAML might take for something else, besides any. */
const TRAPS = [
  'yes',
  'NO',
  'null',
  '~',
  '1e3',
  '0x1f',
  '1_000',
  '12:30:45',
  '2020-01-01',
  '- a',
  'a: b',
  '#',
  '',
];
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom('a', ' ', '\n', '\t', ':', '-', '#', '"', "'", '\\', '\u0085', '\u2028', '\r'),
  }),
  fc.constantFrom(...TRAPS),
);
const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const key = text.filter((one) => one !== '__proto__');
const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    text,
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((one) => !Number.isInteger(one)),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(key, tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;

/** Any value that has the structure of a schema; the checks of texts and numbers are not its business. */
function anyOf(schema: z.core.$ZodType, depth = 0): fc.Arbitrary<unknown> {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable)
    return anyOf(schema.def.innerType, depth);
  if (schema instanceof z.ZodPipe) return anyOf(schema.def.in, depth);
  if (schema instanceof z.ZodObject) {
    if (depth > 6) return fc.constant({});
    const fields = Object.entries<z.core.$ZodType>(schema.shape).map(([field, inner]) => [
      field,
      anyOf(inner, depth + 1),
    ]);
    return fc.record(Object.fromEntries(fields), { requiredKeys: [], noNullPrototype: true });
  }
  if (schema instanceof z.ZodArray) return fc.array(anyOf(schema.element, depth + 1), { maxLength: 2 });
  if (schema instanceof z.ZodRecord)
    return fc.dictionary(key, anyOf(schema.valueType, depth + 1), { maxKeys: 2, noNullPrototype: true });
  if (schema instanceof z.ZodEnum) return fc.constantFrom(...schema.options);
  if (schema instanceof z.ZodLiteral) return fc.constantFrom(...schema.values);
  if (schema instanceof z.ZodUnion) return fc.oneof(...schema.options.map((one) => anyOf(one, depth)));
  if (schema instanceof z.ZodBoolean) return fc.boolean();
  if (schema instanceof z.ZodNumber) return fc.integer();
  return schema instanceof z.ZodUnknown ? plain : text;
}

const documentOf = (kind: (typeof KIND_NAMES)[number]) =>
  fc
    .tuple(name, fc.option(name, { nil: undefined }), anyOf(KINDS[kind].schema))
    // Of the structure of the kind, as the arbitrary follows its schema.
    .map(([own, namespace, content]) => document(kind, { name: own, namespace }, content as never));

const documents = fc.oneof(...KIND_NAMES.map(documentOf));

test('what YAML of a document of any kind is read as is what was written, by YAML 1.2 and by 1.1', () => {
  fc.assert(
    fc.property(documents, (made) => {
      for (const version of ['1.2', '1.1'] as const) {
        const [read] = parseAllDocuments(toYaml([made as MeshDocument]), { version });
        expect(read?.errors).toEqual([]);
        expect(read?.toJS({ maxAliasCount: 0 })).toEqual(made);
      }
    }),
    { numRuns: 80 },
  );
});

test('what YAML of any text is read as is that text, as a field, as a name and in a list, by both', () => {
  fc.assert(
    fc.property(key, (one) => {
      const value = { field: one, [one]: 'name', list: [one, { field: one }] };
      for (const version of ['1.2', '1.1'] as const) {
        const [read] = parseAllDocuments(yamlText(value), { version });
        expect(read?.errors).toEqual([]);
        expect(read?.toJS({ maxAliasCount: 0 })).toEqual(value);
      }
    }),
    { numRuns: 1000, examples: [[' \n'], ['\ufeff'], ['a\n'], ['\na'], ['a\n\n'], ['a \nb'], ['a\n b']] },
  );
});

test('a mesh of any documents is the same after a way through YAML, and a second way changes nothing', async () => {
  const lists = fc.uniqueArray(documents, {
    maxLength: 3,
    selector: ({ kind, metadata }) => `${kind} ${metadata.namespace ?? 'default'}/${metadata.name}`,
  });
  await fc.assert(
    fc.asyncProperty(lists, async (list) => {
      const mesh = defineMesh({ documents: list as readonly MeshDocument[] });
      const yaml = mesh.toYaml();
      const read = await fromYaml(yaml);
      expect(read.documents).toEqual(mesh.documents);
      expect(read.toYaml()).toBe(yaml);
      expect((await fromYaml(JSON.stringify(mesh))).documents).toEqual(mesh.documents);
    }),
    { numRuns: 10 },
  );
});
