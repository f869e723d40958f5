import { expect, test } from 'vitest';
import type { ConfigView } from '../../../../src/control-plane/kinds/view.js';
import { newStore, routeWith, ruleWith } from '../load.js';

const file = (content: string, name = 'mesh.yaml') => ({ files: [{ file: name, content }] });

test('an accepted configuration is in force, with a new revision', () => {
  const store = newStore();
  const seen: number[] = [];
  store.current.subscribe((view) => seen.push(view.revision));
  expect(store.propose('files', file(routeWith()))).toEqual({ accepted: true, revision: 1, violations: [] });
  expect(store.propose('files', file(routeWith('timeout: 1s')))).toMatchObject({ revision: 2 });
  expect(seen).toEqual([1, 2]);
  expect(store.current.value.list('VirtualService')).toHaveLength(1);
});

test('a refused configuration leaves the last good one in force, until it is repaired', () => {
  const store = newStore();
  store.propose('files', file(routeWith('timeout: 1s')));
  const good = store.current.value;
  const refused = store.propose('files', file(routeWith('timeout: soon')));
  expect(refused.accepted).toBe(false);
  expect(store.current.value).toBe(good);
  expect(store.lastRejected.value).toEqual({ violations: refused.violations, at: Date.UTC(2030, 0, 1) });
  store.propose('files', file(routeWith('timeout: 1s')));
  expect(store.lastRejected.value).toBeUndefined();
  expect(store.current.value.revision).toBe(1);
});

test('documents that tell when they were made are in that order, after those that do not', () => {
  const store = newStore();
  const made = (name: string, created: string, namespace = 'default') =>
    `---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: { name: ${name}, namespace: ${namespace}${created && `, creationTimestamp: ${created}`} }\nspec: { egress: [{ hosts: ["./*"] }] }\n`;
  const text =
    made('young', '"2026-03-01T00:00:00Z"') +
    made('b', '2025-01-01T00:00:00Z') +
    made('a', '2025-01-01T00:00:00Z', 'z') +
    made('a', '2025-01-01T00:00:00Z', 'y') +
    made('none', 'null') +
    made('plain', '');
  expect(store.propose('files', file(text)).violations).toEqual([]);
  const sidecars = store.current.value.list('Sidecar');
  expect(sidecars.map(({ name, namespace }) => `${namespace}/${name}`)).toEqual([
    'default/none',
    'default/plain',
    'y/a',
    'z/a',
    'default/b',
    'default/young',
  ]);
  expect(sidecars.map(({ order }) => order)).toEqual([0, 1, 2, 3, 4, 5]);
});

test('one bad file refuses the whole change', () => {
  const store = newStore();
  const result = store.propose('files', {
    files: [
      { file: 'a.yaml', content: routeWith() },
      { file: 'b.yaml', content: 'kind: Nothing' },
    ],
  });
  expect(result.accepted).toBe(false);
  expect(store.current.value.list('VirtualService')).toEqual([]);
});

test('the same content keeps its revision, and comments keep it too, with new places', () => {
  const store = newStore();
  store.propose('files', file(routeWith()));
  const views: ConfigView[] = [];
  store.current.subscribe((view) => views.push(view));
  expect(store.propose('files', file(routeWith()))).toMatchObject({ accepted: true, revision: 1 });
  expect(views).toEqual([]);
  store.propose('files', file(`# a comment\n${routeWith()}`));
  expect(views.map((view) => [view.revision, view.list('VirtualService')[0]?.origin.line])).toEqual([[1, 2]]);
});

test('sources add up, and each replaces only what it gave before', () => {
  const store = newStore();
  store.propose('a', file(ruleWith()));
  store.propose('b', file(routeWith()));
  expect(store.current.value.list('DestinationRule')).toHaveLength(1);
  store.propose('a', { files: [] });
  expect(store.current.value.list('DestinationRule')).toHaveLength(0);
  expect(store.current.value.list('VirtualService')).toHaveLength(1);
});

test('an object that is given twice is refused, with the place of the first', () => {
  const result = newStore().propose('files', {
    files: [
      { file: 'a.yaml', content: routeWith() },
      { file: 'b.yaml', content: routeWith() },
    ],
  });
  expect(result.violations).toMatchObject([
    {
      code: 'INMESH_CONFIG_DUPLICATE',
      message: 'VirtualService default/reviews already stands at a.yaml:1; keep one of them',
      origin: { file: 'b.yaml', line: 4, column: 9 },
      resource: 'VirtualService default/reviews',
    },
  ]);
});

test('documents keep the order in which they were loaded', () => {
  const store = newStore();
  const named = (name: string) =>
    routeWith().replace('name: reviews', `name: ${name}`).replace('[reviews]', `[${name}]`);
  store.propose('files', file(['c', 'a', 'b'].map(named).join('---\n')));
  const list = store.current.value.list('VirtualService');
  expect(list.map(({ name, order }) => [name, order])).toEqual([
    ['c', 0],
    ['a', 1],
    ['b', 2],
  ]);
});

test('what a source could not read refuses its change', () => {
  const store = newStore();
  const violation = {
    code: 'INMESH_CONFIG_READ',
    severity: 'error',
    message: 'cannot be read',
    path: [],
    origin: { file: 'x', line: 0, column: 0 },
    resource: undefined,
    excerpt: undefined,
    length: 0,
  } as const;
  expect(store.propose('files', { files: [], violations: [violation] })).toEqual({
    accepted: false,
    violations: [violation],
  });
});

test('documents are immutable', () => {
  const store = newStore();
  store.propose('files', file(routeWith('timeout: 1s')));
  const spec = store.current.value.list('VirtualService')[0]?.spec;
  expect(() => Object.assign(spec?.http?.[0] ?? {}, { timeout: 2 })).toThrow(TypeError);
  expect(() => Object.assign(store.current.value, { revision: 9 })).toThrow(TypeError);
});

test('many mistakes in one file stay within bounds', () => {
  const text = Array.from({ length: 2000 }, () => 'kind: Nothing\n').join('---\n');
  expect(newStore().propose('files', file(text)).violations).toHaveLength(100);
});
