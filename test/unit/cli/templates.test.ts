import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run as inmesh } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'inmesh-templates-'));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const virtualService = (name: string, labels: string, weight: number) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: shop, labels: ${labels}}
spec:
  hosts: [${name}, ${name}.example.com]
  http:
  - name: r${weight}
    route: [{destination: {host: ${name}}}]
---
`;

beforeAll(() => {
  writeFileSync(
    at('mesh.yaml'),
    virtualService('v10', '{app: a, "team.example.com/owner": x}', 1) +
      virtualService('v9', '{app: b}', 2) +
      virtualService('v1', '{}', 3),
  );
  writeFileSync(
    at('bad.yaml'),
    'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {hosts: 1}\n',
  );
  writeFileSync(at('names.jsonpath'), '{.items[*].metadata.name}');
  writeFileSync(at('columns'), 'NAME            ROUTE\n.metadata.name  .spec.http[*].name\n');
});
const mesh = ['-f', at('mesh.yaml')];

describe('-o jsonpath', () => {
  test.each([
    ['of a list', ['get', 'vs', '-o', 'jsonpath={.items[*].metadata.name}'], 'v10 v9 v1'],
    ['of one object', ['get', 'vs', 'v9', '-o', 'jsonpath={.metadata.name}'], 'v9'],
    ['with the sign of kubectl', ['get', 'vs', 'v9', '-o=jsonpath={.metadata.name}'], 'v9'],
    ['from a file', ['get', 'vs', '-o', `jsonpath-file=${at('names.jsonpath')}`], 'v10 v9 v1'],
    ['as JSON', ['get', 'vs', 'v9', '-o', 'jsonpath-as-json={.metadata.name}'], '[\n    "v9"\n]\n'],
    ['of other commands', ['validate', '-o', 'jsonpath={.documents}'], '3'],
    ['of a compiled client', ['compile', '--profile', 'grpc', '-o', 'jsonpath={.revision}'], ''],
  ])('%s', async (_, words, out) => {
    expect(await inmesh(...words, ...mesh)).toMatchObject({ code: 0, out });
  });

  test('mistakes end the command before anything is read', async () => {
    const answer = await inmesh('get', 'vs', '-o', 'jsonpath={.items[}', '-f', at('nothing.yaml'));
    expect(answer).toMatchObject({ code: 2, out: '', err: expect.stringContaining('at character 8') });
    expect((await inmesh('get', 'vs', '-o', 'jsonpath-file=nowhere', ...mesh)).code).toBe(2);
    expect((await inmesh('get', 'vs', '-o', 'go-template={{.a}}', ...mesh)).err).toContain('jsonpath=');
    expect((await inmesh('get', 'vs', '-o', 'jsonpath', ...mesh)).code).toBe(2);
  });

  test('the exit code stays what it is, and what went wrong is on stderr alone', async () => {
    const none = await inmesh('get', 'vs', 'nothing', '-o', 'jsonpath={.metadata.name}', ...mesh);
    expect(none).toEqual({ code: 1, out: '', err: 'there is no VirtualService nothing\n' });
    const bad = await inmesh('validate', '-o', 'jsonpath={.violations[*].code}', '-f', at('bad.yaml'));
    expect(bad).toMatchObject({ code: 1, out: expect.stringMatching(/^INMESH_\w+/) });
  });
});

describe('-o custom-columns', () => {
  const columns =
    'custom-columns=NAME:.metadata.name,OWNER:.metadata.labels.team\\.example\\.com/owner,HOSTS:.spec.hosts';

  test('has a row for each item', async () => {
    expect((await inmesh('get', 'vs', '-o', columns, ...mesh)).out).toBe(
      'NAME   OWNER    HOSTS\n' +
        'v10    x        v10,v10.example.com\n' +
        'v9     <none>   v9,v9.example.com\n' +
        'v1     <none>   v1,v1.example.com\n',
    );
    expect((await inmesh('get', 'vs', 'v9', '--no-headers', '-o', columns, ...mesh)).out).toBe(
      'v9   <none>   v9,v9.example.com\n',
    );
  });

  test('takes a file, and unions', async () => {
    expect((await inmesh('get', 'vs', '-o', `custom-columns-file=${at('columns')}`, ...mesh)).out).toBe(
      'NAME   ROUTE\nv10    r1\nv9     r2\nv1     r3\n',
    );
    const union = "custom-columns=A:.metadata['name','namespace'],B:{.kind}";
    expect((await inmesh('get', 'vs', 'v1', '-o', union, ...mesh)).out).toBe(
      'A         B\nv1,shop   VirtualService\n',
    );
  });

  test('tells what is no column', async () => {
    for (const text of ['NAME', ':.a', 'NAME:', 'NAME:.a[']) {
      const answer = await inmesh('get', 'vs', '-o', `custom-columns=${text}`, ...mesh);
      expect(answer).toMatchObject({
        code: 2,
        out: '',
        err: expect.stringContaining('INMESH_OPTION_INVALID'),
      });
    }
  });
});

describe('get', () => {
  const names = async (...words: string[]) => {
    const { out } = await inmesh('get', 'vs', ...words, '-o', 'name', ...mesh);
    return out.split('\n').flatMap((line) => line.split('/')[1] ?? []);
  };

  test('--sort-by is natural, and what lacks the field is first', async () => {
    expect(await names('--sort-by', '.metadata.name')).toEqual(['v1', 'v9', 'v10']);
    expect(await names('--sort-by={.metadata.labels.app}')).toEqual(['v1', 'v10', 'v9']);
    const unknown = await inmesh('get', 'vs', '--sort-by', '.spec.nothing', ...mesh);
    expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining('--sort-by') });
  });

  test('--field-selector knows names and namespaces', async () => {
    expect(await names('--field-selector', 'metadata.name=v9')).toEqual(['v9']);
    expect(await names('--field-selector', 'metadata.name!=v9,metadata.namespace==shop')).toEqual([
      'v10',
      'v1',
    ]);
    expect(await names('--field-selector', 'metadata.namespace!=shop')).toEqual([]);
    const unknown = await inmesh('get', 'vs', '--field-selector', 'spec.hosts=a', ...mesh);
    expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining('metadata.name') });
  });

  test('labels are columns where they are asked for, and heads are left out', async () => {
    const shown = await inmesh(
      'get',
      'vs',
      'v10',
      '--show-labels',
      '-L',
      'app,team.example.com/owner',
      ...mesh,
    );
    expect(shown.out).toMatch(/APP +OWNER +LABELS\n.* a +x +app=a,team.example.com\/owner=x\n$/);
    const bare = await inmesh('get', 'vs', 'v1', '--show-labels', '-L', 'app', '--no-headers', ...mesh);
    expect(bare.out).toMatch(/^shop .* <none> +<none>\n$/);
  });
});
