import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { normalArguments } from '../../../src/cli/normal-arguments.js';
import { targetsOf } from '../../../src/cli/objects.js';
import { selectorOf } from '../../../src/cli/selector.js';
import { run as inmesh } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'inmesh-inputs-'));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const service = (name: string) => `apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {selector: {app: ${name}}, ports: [{name: http, port: 80}]}
`;

beforeAll(() => {
  mkdirSync(at('sub/deep'), { recursive: true });
  mkdirSync(at('sub/.hidden'));
  writeFileSync(at('a.yaml'), service('a'));
  writeFileSync(
    at('b.json'),
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'b' },
      spec: { ports: [{ port: 80 }] },
    }),
  );
  writeFileSync(at('sub/c.yml'), service('c'));
  writeFileSync(at('sub/deep/d.yaml'), service('d'));
  writeFileSync(at('sub/.hidden/e.yaml'), 'not: [yaml');
});

describe('files', () => {
  test.each([
    ['each with its option', ['-f', at('a.yaml'), '-f', at('b.json')], ['a', 'b']],
    ['several after one option', ['-f', at('a.yaml'), at('b.json')], ['a', 'b']],
    ['a folder, without what is below it', ['-f', at('sub')], ['c']],
    ['a folder with what is below it', ['-f', at('sub'), '-R'], ['c', 'd']],
    [
      'a folder with what is below it, by the long name',
      ['--recursive', '--file', at('.')],
      ['a', 'b', 'c', 'd'],
    ],
  ])('%s', async (_, files, names) => {
    const wanted = names.map((name) => `service/${name}\n`).join('');
    expect(await inmesh('get', 'svc', '-o', 'name', ...files)).toEqual({ code: 0, out: wanted, err: '' });
    // The kind after the files is no file.
    expect((await inmesh('get', ...files, 'svc', '-o', 'name')).out).toBe(wanted);
  });

  const both = [at('a.yaml'), at('b.json')];
  test.each([
    ['validate', []],
    ['analyze', []],
    ['compile', []],
    ['compile rbac', []],
    ['authz check', []],
    ['convert', ['--to', 'gateway-api']],
    ['migrate rbac', []],
    ['explain', ['GET', 'http://a/']],
    ['describe', ['svc/a', 'svc/b']],
    ['export', []],
    ['diff', ['--against', ...both]],
    ['apply', ['--dry-run=client']],
  ])('%s takes them in every form, and tells which of them is not there', async (command, further) => {
    const words = [...command.split(' '), ...further];
    const one = await inmesh(...words, '-f', at('a.yaml'), '-f', at('b.json'));
    expect(one.code).toBeLessThan(2);
    expect(await inmesh(...words, '-f', ...both)).toEqual(one);
    const missing = await inmesh(...words, '-f', at('a.yaml'), at('nothing.yaml'));
    expect(missing).toMatchObject({ code: 2, out: '', err: expect.stringContaining('nothing.yaml') });
  });
});

test('command lines have one form', () => {
  expect(normalArguments(['apply', '-f', 'x.yaml', 'y.json', '-', '-n', 'shop'])).toEqual([
    'apply',
    '-f',
    'x.yaml',
    '-f',
    'y.json',
    '-f',
    '-',
    '-n',
    'shop',
  ]);
  expect(normalArguments(['delete', '--dry-run', 'vs/reviews'])).toEqual([
    'delete',
    '--dry-run=server',
    'vs/reviews',
  ]);
  expect(normalArguments(['delete', '--dry-run', 'client', 'vs'])).toEqual([
    'delete',
    '--dry-run=client',
    'vs',
  ]);
  // A service that is called like a folder that is there is still the service.
  expect(normalArguments(['shift', '-f', 'mesh.yaml', 'src', 'v1=100'])).toEqual([
    'shift',
    '-f',
    'mesh.yaml',
    'src',
    'v1=100',
  ]);
  expect(normalArguments(['explain', '-f', 'a.yaml', 'GET', 'http://x/y.json'])).toEqual([
    'explain',
    '-f',
    'a.yaml',
    'GET',
    'http://x/y.json',
  ]);
  const started = ['run', '-s', 'web', '--', 'node', '-f', 'a.yaml', 'b.yaml', '--dry-run'];
  expect(normalArguments(started)).toEqual(started);
  expect(normalArguments(['get', '-f'])).toEqual(['get', '-f']);
});

test('what is asked for is named as kubectl takes it', () => {
  const vs = 'VirtualService';
  expect(targetsOf(['vs'])).toEqual([{ kind: vs, name: undefined }]);
  expect(targetsOf(['all'])).toEqual([{ kind: undefined, name: undefined }]);
  expect(targetsOf(['vs,dr'])).toEqual([
    { kind: vs, name: undefined },
    { kind: 'DestinationRule', name: undefined },
  ]);
  expect(targetsOf(['virtualservices', 'a', 'b'])).toEqual([
    { kind: vs, name: 'a' },
    { kind: vs, name: 'b' },
  ]);
  expect(targetsOf(['vs/a', 'httproute/b'])).toEqual([
    { kind: vs, name: 'a' },
    { kind: 'HTTPRoute', name: 'b' },
  ]);
  expect(targetsOf(['virtualservices.networking.istio.io'])).toEqual([{ kind: vs, name: undefined }]);
  expect(targetsOf(['pa', 'ap', 'ra', 'se', 'we'].join(',').split(' ')).map(({ kind }) => kind)).toEqual([
    'PeerAuthentication',
    'AuthorizationPolicy',
    'RequestAuthentication',
    'ServiceEntry',
    'WorkloadEntry',
  ]);
  expect(() => targetsOf(['virtualservics'])).toThrow(/there is no kind "virtualservics"/);
  expect(() => targetsOf(['vs/a', 'b'])).toThrow(/kind\/name/);
});

test('labels select as they do for kubectl', () => {
  const labels = { app: 'reviews', version: 'v2' };
  const holds = (...texts: string[]) => selectorOf(texts)(labels);
  for (const text of [
    'app=reviews',
    'app==reviews',
    'app!=web',
    'version',
    '!team',
    'team!=a',
    'version in (v1, v2)',
    'version notin (v1)',
    'team notin (a)',
    'app=reviews,version in (v1,v2)',
    '',
  ])
    expect([text, holds(text)]).toEqual([text, true]);
  for (const text of [
    'app=web',
    'app!=reviews',
    'team',
    '!version',
    'version in (v1)',
    'version notin (v2)',
    'team in (a)',
    'app=reviews,version=v1',
  ])
    expect([text, holds(text)]).toEqual([text, false]);
  expect(() => holds('a b')).toThrow(/selects no labels/);
});

test('what is not known is told apart from what is misspelt', async () => {
  const { code, err } = await inmesh('get', 'vs', '-o', 'go-template={{.items}}');
  expect([code, err]).toEqual([2, expect.stringContaining('take jsonpath=')]);
  expect((await inmesh('get', 'virtualservics', '-f', at('a.yaml'))).err).toContain(
    'Did you mean VirtualService?',
  );
  expect((await inmesh('gte')).err).toContain('Did you mean get?');
  expect((await inmesh('get', '--namspace', 'x')).err).toContain('Did you mean --namespace?');
});
