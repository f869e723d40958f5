import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { withEdits } from '../../../src/cli/edit.js';
import { editedFile } from '../../../src/cli/edit-files.js';
import { lineDiff } from '../../../src/cli/line-diff.js';

// Edits of files: what they say comes true, and nothing else becomes different.

const TEXT = `# Routes of the shop.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews   # the reviews
  labels: {team: a}
spec:
  hosts:
  - reviews
  http:
    # people of the beta
    - match:
        - headers: { x-beta: { exact: "yes" } }
      route:
        - destination: { host: reviews, subset: v3 }
    - timeout: 1s # enough
      route:
        - destination:
            host: reviews
            subset: v1
          weight: 100   # all
      # the end of the route
  # the end of the routes
---
# Another.
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {ports: [{port: 80}]}
`;

const edit = (path: readonly (string | number)[], value: unknown) => ({
  kind: 'VirtualService',
  namespace: 'default',
  name: 'reviews',
  create: {},
  set: [{ path, value }],
});
/** The lines that are different, with their signs. */
function changed(before: string, path: readonly (string | number)[], value: unknown): readonly string[] {
  const { text } = editedFile('mesh.yaml', before, [edit(path, value)]);
  return lineDiff(before, text, 0)
    .split('\n')
    .filter((line) => /^[-+] /.test(line));
}

test.each<[string, readonly (string | number)[], unknown, readonly string[]]>([
  [
    'a value',
    ['spec', 'http', 1, 'timeout'],
    '2s',
    ['-     - timeout: 1s # enough', '+     - timeout: 2s # enough'],
  ],
  [
    'a value deep down',
    ['spec', 'http', 1, 'route', 0, 'weight'],
    90,
    ['-           weight: 100   # all', '+           weight: 90   # all'],
  ],
  [
    'a value in one line',
    ['spec', 'http', 0, 'route', 0, 'destination', 'subset'],
    'v2',
    [
      '-         - destination: { host: reviews, subset: v3 }',
      '+         - destination: { host: reviews, subset: v2 }',
    ],
  ],
  [
    'a new field',
    ['spec', 'http', 1, 'retries'],
    { attempts: 2 },
    ['+       retries:', '+         attempts: 2'],
  ],
  ['a new item', ['spec', 'http', 2], { redirect: { uri: '/' } }, ['+     - redirect:', '+         uri: /']],
  ['a new field on the way', ['spec', 'exportTo', 0], '.', ['+   exportTo:', '+     - .']],
  [
    'the first field of an item, taken away',
    ['spec', 'http', 1, 'timeout'],
    undefined,
    ['-     - timeout: 1s # enough', '-       route:', '+     - route:'],
  ],
  ['what is not there, taken away', ['spec', 'http', 1, 'fault'], undefined, []],
  ['what is so already', ['spec', 'http', 1, 'timeout'], '1s', []],
])('%s changes its own lines', (_, path, value, lines) => {
  expect(changed(TEXT, path, value)).toEqual(lines);
});

test('line ends of Windows, and a file without a last one, stay', () => {
  const windows = TEXT.replaceAll('\n', '\r\n');
  const { text } = editedFile('mesh.yaml', windows, [edit(['spec', 'http', 1, 'retries'], { attempts: 2 })]);
  expect(text.replaceAll('\r\n', '')).not.toContain('\n');
  expect(text.replaceAll('\r\n', '\n')).toContain('# all\n      retries:\n        attempts: 2\n');
  const bare = 'kind: VirtualService\nmetadata: {name: reviews}\nspec:\n  hosts: [reviews]';
  expect(editedFile('a.yaml', bare, [edit(['spec', 'http', 0, 'timeout'], '1s')]).text).toBe(
    `${bare}\n  http:\n    - timeout: 1s`,
  );
});

test('lists of objects and JSON are edited where the object stands', () => {
  const object = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'reviews' },
    spec: { hosts: ['reviews'] },
  };
  const list = {
    apiVersion: 'v1',
    kind: 'List',
    items: [{ kind: 'Service', metadata: { name: 'reviews' } }, object],
  };
  const own = edit(['spec', 'hosts', 1], 'more');
  const yaml = editedFile('a.yaml', stringify(list), [own]);
  expect(yaml.text).toContain('hosts:\n        - reviews\n        - more\n');
  expect(yaml.written[0]).toMatch(/^apiVersion: networking[\s\S]*- more\n$/);
  const json = editedFile('a.json', JSON.stringify(list), [
    own,
    { ...own, name: 'new', create: { kind: 'VirtualService', metadata: { name: 'new' } } },
  ]);
  expect(JSON.parse(json.text).items).toMatchObject([
    {},
    { spec: { hosts: ['reviews', 'more'] } },
    { metadata: { name: 'new' } },
  ]);
});

test('what stands in two places by an alias is not edited in both', () => {
  const text = 'kind: VirtualService\nmetadata: {name: reviews}\nspec:\n  a: &x {b: 1}\n  c: *x\n';
  let error: unknown;
  try {
    editedFile('a.yaml', text, [edit(['spec', 'a', 'b'], 2)]);
  } catch (cause) {
    error = cause;
  }
  expect(String(error)).toContain('alias');
});

const value = fc.letrec<{ any: unknown; map: object }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('a', '1s', '#', 'yes', '- x', 'a: b', 'two\nlines'),
    fc.integer({ min: 0, max: 99 }),
    fc.boolean(),
    fc.array(tie('any'), { maxLength: 3 }),
    tie('map'),
  ),
  map: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd e', 'x.y'), tie('any'), {
    maxKeys: 3,
    noNullPrototype: true,
  }),
}));
const step = fc.oneof(fc.constantFrom('a', 'b', 'c', 'n'), fc.nat(2));

test('any field of any object: the edit says what it should, a second one changes nothing, other documents stay', () => {
  fc.assert(
    fc.property(
      value.map,
      fc.array(step, { minLength: 1, maxLength: 3 }),
      fc.option(value.any, { nil: undefined }),
      fc.boolean(),
      (spec, path, wanted, isFlow) => {
        const object = { kind: 'VirtualService', metadata: { name: 'reviews' }, spec };
        const expected = safely(() => withEdits(object, [{ path: ['spec', ...path], value: wanted }]));
        // A field of a word, or an item of a map: there is no such edit.
        fc.pre(expected !== undefined && fits(spec, path));
        // Items are never taken away, only fields.
        fc.pre(wanted !== undefined || typeof path.at(-1) === 'string');
        const tail = '---\n# kept\nkind: Service\nmetadata: {name: other}   # as it is\n';
        const text = stringify(object, isFlow ? { collectionStyle: 'flow' } : {}) + tail;
        const one = [edit(['spec', ...path], wanted)];
        const edited = editedFile('a.yaml', text, one);
        const documents = parseAllDocuments(edited.text);
        expect([...documents][0]?.toJS()).toEqual(JSON.parse(JSON.stringify(expected)));
        expect(documents).toHaveLength(2);
        expect(editedFile('a.yaml', edited.text, one)).toMatchObject({ text: edited.text, isChanged: false });
      },
    ),
    { numRuns: 150 },
  );
});

function safely<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}

/** Whether each step is of a kind with what it leads into, and lists have no holes. */
function fits(root: unknown, path: readonly (string | number)[]): boolean {
  let at: unknown = root;
  for (const one of path) {
    if (at === undefined) {
      if (typeof one === 'number' && one > 0) return false;
    } else if (
      typeof one === 'number'
        ? !Array.isArray(at) || one > at.length
        : typeof at !== 'object' || Array.isArray(at)
    )
      return false;
    at = typeof at === 'object' && at !== null ? Reflect.get(at, one) : undefined;
  }
  return true;
}
