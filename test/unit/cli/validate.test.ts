import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'inmesh-validate-'));

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const SHOP = write(
  'shop.yaml',
  `apiVersion: v1
kind: Service
metadata: { name: cart, namespace: shop }
spec:
  ports: [{ name: http, port: 80 }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: cart, namespace: shop }
spec:
  hosts: [cart]
  http:
    - route:
        - destination: { host: cat }
`,
);

describe('inmesh validate', () => {
  test('tells valid documents by its exit code', async () => {
    const { code, out, err } = await run('validate', SHOP);
    expect([code, out]).toEqual([0, '']);
    expect(err).toBe('2 documents: valid\n');
  });

  test('tells every mistake with its place and what was probably meant, as one JSON document', async () => {
    const file = write(
      'bad.yaml',
      `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: cart }
spec:
  host: [cart]
  http:
    - timeout: soon
      route: [{ destination: { host: cart } }]
`,
    );
    const { code, out } = await run('validate', '-f', file, '-o', 'json');
    expect(code).toBe(1);
    const { valid, violations } = JSON.parse(out);
    expect(valid).toBe(false);
    expect(violations).toMatchObject([
      {
        code: 'INMESH_CONFIG_UNKNOWN_FIELD',
        suggestion: 'hosts',
        file,
        line: 5,
        column: 3,
        path: 'spec.host',
      },
      { code: 'INMESH_CONFIG_INVALID', line: 7, path: 'spec.http[0].timeout' },
    ]);
    const people = await run('validate', file);
    expect([people.code, people.out]).toEqual([1, expect.stringContaining('\n      |   ^^^^\n')]);
    expect(await run('validate', file, '-o', 'name')).toMatchObject({
      code: 1,
      out: 'VirtualService default/cart\n',
    });
  });

  test('what inmesh does not carry out is odd, and an error where that is asked for', async () => {
    const file = write(
      'sidecar.yaml',
      `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: cart }
spec:
  hosts: [cart]
  http:
    - directResponse: { status: 200, body: { bytes: /w== } }
`,
    );
    expect((await run('validate', file)).code).toBe(0);
    expect((await run('validate', '--strict', file)).code).toBe(1);
  });

  test('a file that is not there, or none at all, cannot be validated', async () => {
    expect(await run('validate', join(folder, 'none.yaml'))).toMatchObject({ code: 2, out: '' });
    expect(await run('validate')).toMatchObject({ code: 2, out: '' });
  });
});

describe('inmesh analyze', () => {
  test('prints a list of findings as one JSON document, and fails for errors', async () => {
    const { code, out } = await run('analyze', SHOP, '-o', 'json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual([
      {
        code: 'IST0101',
        level: 'Error',
        name: 'ReferencedResourceNotFound',
        origin: 'VirtualService shop/cart',
        message: 'the host, cat, is no service that this namespace sees',
        suggestion: 'cart',
        file: SHOP,
        line: 14,
        column: 32,
        path: 'spec.http[0].route[0].destination.host',
        analyzer: 'virtualservice.DestinationHostAnalyzer',
      },
    ]);
  });

  test('people see the place with a mark under it; the exit code is the same', async () => {
    const { code, out, err } = await run('analyze', '-f', SHOP);
    expect(code).toBe(1);
    expect(out).toBe(
      `${SHOP}:14:32 Error IST0101 VirtualService shop/cart: the host, cat, is no service that this namespace sees (did you mean "cart"?)
   14 |         - destination: { host: cat }
      |                                ^^^
`,
    );
    expect(err).toBe('2 documents: 1 Error\n');
    expect(await run('analyze', SHOP, '-o', 'name')).toMatchObject({
      code: 1,
      out: 'VirtualService shop/cart\n',
    });
  });

  test.each([
    { args: ['--suppress', 'IST0101'] },
    { args: ['-S', 'IST0102', '-S', 'IST0101=VirtualService shop/*'] },
    { args: ['--suppress', 'IST0101=VirtualService cart.shop'] },
    { args: ['--suppress', '*=* shop/cart'] },
    { args: ['--analyzer', 'webhook.Analyzer'] },
    { args: ['-n', 'other'] },
    { args: ['--use-kube=false', '-S', 'IST0101'] },
  ])('findings can be left out: $args', async ({ args }) => {
    expect(await run('analyze', SHOP, '-o', 'json', ...args)).toMatchObject({ code: 0, out: '[]\n' });
  });

  test('all namespaces are told of, whatever -n says', async () => {
    expect((await run('analyze', SHOP, '-o', 'name', '-n', 'other', '-A')).out).toBe(
      'VirtualService shop/cart\n',
    );
  });

  test('a suppression of a code that is not there is told, and has no effect', async () => {
    expect(await run('analyze', SHOP, '-o', 'name', '-S', 'IST9999=VirtualService shop/cart')).toEqual({
      code: 1,
      out: 'VirtualService shop/cart\n',
      err: 'no finding has the code IST9999: its suppression has no effect\n',
    });
  });

  test('what cannot be read can be passed over', async () => {
    const broken = write('broken.yaml', 'a: [');
    const none = join(folder, 'none.yaml');
    expect((await run('analyze', SHOP, broken, '-o', 'name')).out).toContain('broken.yaml');
    expect(await run('analyze', SHOP, broken, none, '--ignore-unknown', '-o', 'name')).toMatchObject({
      code: 1,
      out: 'VirtualService shop/cart\n',
    });
  });

  test('nothing is told of the namespaces that are Kubernetes’ own', async () => {
    const file = write(
      'system.yaml',
      ['kube-system', 'default']
        .map(
          (namespace) =>
            `apiVersion: v1\nkind: Service\nmetadata: { name: a, namespace: ${namespace} }\nspec: { ports: [{ name: odd, port: 80 }] }\n`,
        )
        .join('---\n'),
    );
    expect((await run('analyze', file, '-o', 'name')).out).toBe('Service default/a\n');
  });

  test('a document can ask for silence by an annotation', async () => {
    const file = write(
      'silent.yaml',
      `apiVersion: v1
kind: Namespace
metadata: { name: shop, annotations: { galley.istio.io/analyze-suppress: 'IST0103, IST0102' } }
---
apiVersion: v1
kind: Namespace
metadata: { name: other }
`,
    );
    const { code, out } = await run('analyze', file, '-o', 'json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject([{ code: 'IST0102', level: 'Info', origin: 'Namespace other' }]);
    expect((await run('analyze', file, '--failure-threshold', 'info')).code).toBe(1);
    expect((await run('analyze', file, '-o', 'json', '--output-threshold', 'Warning')).out).toBe('[]\n');
  });

  test('what cannot run says so by its exit code', async () => {
    expect(await run('analyze', join(folder, 'none.yaml'))).toMatchObject({ code: 2, out: '' });
    // Port 1 is the reserved tcpmux: nobody listens there.
    expect(await run('analyze', '--control-plane', '127.0.0.1:1')).toMatchObject({ code: 2, out: '' });
    expect(await run('analyze', SHOP, '--analyzer', 'none')).toMatchObject({ code: 2, out: '' });
    expect(await run('analyze', SHOP, '--suppress', 'all of it')).toMatchObject({ code: 2, out: '' });
  });

  test('lists its analyzers', async () => {
    const { out } = await run('analyze', '--list-analyzers');
    expect(out).toMatch(/^gateway\.SecretAnalyzer +certificates of gateways +IST0101,IST0161$/m);
  });
});

describe('inmesh schema', () => {
  test('lists the kinds, and prints the JSON Schema of each', async () => {
    const { code, out } = await run('schema');
    expect(code).toBe(0);
    for (const kind of out.trimEnd().split('\n')) {
      const schema = JSON.parse((await run('schema', kind)).out);
      expect(schema).toMatchObject({
        $schema: 'http://json-schema.org/draft-07/schema#',
        type: 'object',
        properties: { kind: { const: kind.split('.')[0] } },
      });
    }
  });

  test('a schema has the fields of the kind, and no others', async () => {
    const { out } = await run('schema', 'PA');
    const { properties, additionalProperties } = JSON.parse(out);
    expect(additionalProperties).toBe(false);
    expect(properties.apiVersion).toEqual({ enum: ['security.istio.io/v1', 'security.istio.io/v1beta1'] });
    expect(properties.spec).toMatchObject({
      additionalProperties: false,
      properties: {
        mtls: { properties: { mode: { enum: ['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'] } } },
      },
    });
  });

  test('one schema of all kinds chooses by kind and group', async () => {
    const { allOf, definitions } = JSON.parse((await run('schema', 'all')).out);
    const gateways = allOf.filter(
      (one: { if: { properties: { kind?: { const?: string } } } }) =>
        one.if.properties.kind?.const === 'Gateway',
    );
    expect(gateways).toHaveLength(2);
    for (const { if: condition, then } of gateways) {
      expect(definitions[then.$ref.replace('#/definitions/', '')].properties.apiVersion).toEqual(
        condition.properties.apiVersion,
      );
    }
  });

  test('a kind that is not there', async () => {
    expect(await run('schema', 'VirtualServise')).toEqual({
      code: 2,
      out: '',
      err: 'error: there is no kind "VirtualServise"; did you mean VirtualService?\n',
    });
  });
});

test.each(['validate', 'analyze', 'schema'])('the help of %s has three examples', async (command) => {
  const { code, out } = await run(command, '--help');
  expect(code).toBe(0);
  expect(out.match(/^ {2}\$ .*inmesh /gm)).toHaveLength(3);
});
