import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { z } from 'zod';
import * as builders from '../../src/config.js';
import { KIND_NAMES, KINDS } from '../../src/control-plane/kinds/kinds.js';

const file = fileURLToPath(new URL('../../src/config/gen/fields.ts', import.meta.url));

/** Every field of a schema by its way, with whether it has to be given: `http[].route[].destination.host`. */
function fieldsOf(schema: z.core.$ZodType, at: string, seen: Set<string>): void {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable)
    fieldsOf(schema.def.innerType, at, seen);
  else if (schema instanceof z.ZodPipe) fieldsOf(schema.def.in, at, seen);
  else if (schema instanceof z.ZodArray) fieldsOf(schema.element, `${at}[]`, seen);
  else if (schema instanceof z.ZodRecord) fieldsOf(schema.valueType, `${at}.*`, seen);
  else if (schema instanceof z.ZodEnum)
    seen.add(`${at} = ${schema.options.map(String).toSorted().join('|')}`);
  else if (schema instanceof z.ZodObject) {
    for (const [name, inner] of Object.entries<z.core.$ZodType>(schema.shape)) {
      const isOptional = z.safeParse(inner, undefined).success;
      seen.add(`${at}.${name}${isOptional ? '?' : ''}`);
      fieldsOf(inner, `${at}.${name}`, seen);
    }
  }
}

/** The same of a type. */
function membersOf(checker: ts.TypeChecker, given: ts.Type, at: string, seen: Set<string>): void {
  const type = checker.getNonNullableType(given);
  if (type.isUnion() && type.types.every((one) => one.isStringLiteral())) {
    seen.add(
      `${at} = ${type.types
        .map((one) => String(one.isStringLiteral() && one.value))
        .toSorted()
        .join('|')}`,
    );
    return;
  }
  if (type.isStringLiteral()) seen.add(`${at} = ${type.value}`);
  if ((type.flags & ts.TypeFlags.Object) === 0) return;
  if (checker.isArrayType(type)) {
    const [item] = checker.getTypeArguments(type as ts.TypeReference);
    if (item !== undefined) membersOf(checker, item, `${at}[]`, seen);
    return;
  }
  for (const property of checker.getPropertiesOfType(type)) {
    const isOptional = (property.flags & ts.SymbolFlags.Optional) !== 0;
    seen.add(`${at}.${property.name}${isOptional ? '?' : ''}`);
    membersOf(checker, checker.getTypeOfSymbol(property), `${at}.${property.name}`, seen);
  }
  const index = checker.getIndexInfoOfType(type, ts.IndexKind.String);
  if (index !== undefined && checker.getPropertiesOfType(type).length === 0)
    membersOf(checker, index.type, `${at}.*`, seen);
}

test('the types of inmesh/config have exactly the fields that the schemas of the kinds have', () => {
  const program = ts.createProgram([file], {
    strict: true,
    noEmit: true,
    types: [],
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  });
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file);
  const module = source && checker.getSymbolAtLocation(source);
  const contents = (module ? checker.getExportsOfModule(module) : []).find(
    ({ name }) => name === 'KindContents',
  );
  const members =
    contents === undefined ? [] : checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(contents));
  expect(members.map(({ name }) => name)).toEqual(KIND_NAMES);
  for (const [index, kind] of KIND_NAMES.entries()) {
    const wanted = new Set<string>();
    const found = new Set<string>();
    fieldsOf(KINDS[kind].schema, kind, wanted);
    const member = members[index];
    if (member !== undefined) membersOf(checker, checker.getTypeOfSymbol(member), kind, found);
    // Openness and unions of texts and numbers have no members.
    expect([...found].toSorted(), join('KindContents', kind)).toEqual([...wanted].toSorted());
  }
});

test('each kind has a builder, which writes the kind and a version of it', () => {
  const made = Object.entries(builders).flatMap(([name, builder]) => {
    const isBuilder = /^[a-z]/.test(name) && typeof builder === 'function' && builder.length >= 1;
    const others = [
      'defineMesh',
      'toYaml',
      'toModule',
      'fromYaml',
      'document',
      'split',
      'canary',
      'retry',
      'delay',
      'abort',
    ];
    const values = ['exact', 'prefix', 'regex', 'mtls', 'seconds', 'milliseconds', 'minutes', 'hours'];
    if (!isBuilder || [...others, ...values].includes(name)) return [];
    // All builders take a name and content.
    const document = (builder as (name: string, content: object) => builders.MeshDocument)('a', {});
    return [[name, document] as const];
  });
  const isOf = (kind: (typeof KIND_NAMES)[number]) =>
    made.filter(
      ([, { apiVersion, kind: own }]) =>
        kind.split('.')[0] === own && KINDS[kind].apiVersions.includes(apiVersion),
    );
  expect(KIND_NAMES.filter((kind) => isOf(kind).length !== 1)).toEqual([]);
  expect(made).toHaveLength(KIND_NAMES.length);
});
