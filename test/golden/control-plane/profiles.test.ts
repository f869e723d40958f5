import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type CompileTarget, compileFor } from '../../../src/control-plane.js';

// One document with everything in it, and what each kind of client receives of it, in Envoy's JSON. UPDATE_GOLDEN=1 writes
// what is compiled now; read the difference before you commit it.
const text = readFileSync(
  new URL('../../unit/control-plane/compile/validate/everything.yaml', import.meta.url),
  'utf8',
);
const targets: readonly (CompileTarget & { readonly file: string })[] = [
  { file: 'sdk', profile: 'sdk' },
  { file: 'grpc', profile: 'grpc' },
  { file: 'envoy', profile: 'envoy', type: 'sidecar', labels: { istio: 'ingressgateway' } },
  {
    file: 'envoy-sidecar',
    profile: 'envoy',
    type: 'sidecar',
    labels: { app: 'reviews', version: 'v1' },
    address: '10.0.0.1',
  },
];

describe.each(targets)('for $file', ({ file: name, ...target }) => {
  const compiled = () => {
    const result = compileFor({ files: [{ file: 'everything.yaml', content: text }] }, target);
    if (!result.accepted) throw new Error(JSON.stringify(result.violations));
    return { resources: result.resources, losses: result.losses };
  };

  test('everything compiles to what it compiled to before', () => {
    const file = new URL(`profiles/${name}.json`, import.meta.url);
    const found = JSON.parse(JSON.stringify(compiled()));
    if (process.env['UPDATE_GOLDEN'] === '1' || !existsSync(file)) {
      writeFileSync(file, `${JSON.stringify(found, undefined, 1)}\n`);
    }
    expect(found).toEqual(JSON.parse(readFileSync(file, 'utf8')));
  });

  test('everything compiles to the same bytes again', () => {
    expect(JSON.stringify(compiled())).toBe(JSON.stringify(compiled()));
  });
});

test('documents that are refused come back with everything that is wrong', () => {
  const content =
    'apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: g }\nspec: { servers: [] }';
  const result = compileFor({ files: [{ file: 'g.yaml', content }] }, { profile: 'sdk' });
  expect(
    result.accepted
      ? []
      : result.violations.filter(({ severity }) => severity === 'error').map(({ message }) => message),
  ).toEqual(['a Gateway needs a server']);
});
