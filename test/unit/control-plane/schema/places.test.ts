import { expect, test } from 'vitest';
import { formatViolation } from '../../../../src/control-plane/schema/format.js';
import { complaintsAbout, newStore, routeWith, ruleWith, violationsOf } from '../load.js';

const subsets = ruleWith('subsets:', '- name: v1', '- name: v2', '- name: v3');

test('a missing subset is shown at its value, with a mark and the name that was meant', () => {
  const text = `${subsets}---\n${routeWith().replace('host: reviews\n', 'host: reviews\n        subset: v4\n')}`;
  const [violation] = violationsOf(text);
  expect(violation && formatViolation(violation)).toBe(
    `mesh.yaml:22:17 error INMESH_CONFIG_REFERENCE subset "v4" of host "reviews" is not defined (did you mean "v1"?)
   22 |         subset: v4
      |                 ^^`,
  );
});

test('an unknown field is shown at its name', () => {
  expect(complaintsAbout(routeWith('timeuot: 1s'))).toEqual([
    '11:5 error INMESH_CONFIG_UNKNOWN_FIELD unknown field "timeuot" (did you mean "timeout"?)',
  ]);
});

test('a wrong value is shown at the value, a missing one at what should hold it', () => {
  const text = routeWith('timeout: soon', 'retries:', '  attempts: "3"', 'mirror: {subset: v1}');
  expect(complaintsAbout(text)).toEqual([
    '11:14 error INMESH_CONFIG_INVALID timeout must be a duration such as 1s or 250ms, not "soon"',
    '13:17 error INMESH_CONFIG_INVALID attempts must be a number, not "3"',
    '14:13 error INMESH_CONFIG_INVALID host is required',
  ]);
});

test('all documents of all files are complained about at once', () => {
  const store = newStore();
  const result = store.propose('files', {
    files: [
      { file: 'a.yaml', content: `${routeWith('timeout: 0.1ms')}---\n${ruleWith('hosts: x')}` },
      { file: 'b.json', content: '{"kind": "Nothing"}' },
    ],
  });
  expect(result.violations.map(({ origin }) => `${origin.file}:${origin.line}:${origin.column}`)).toEqual([
    'a.yaml:11:14',
    'a.yaml:19:3',
    'b.json:1:10',
  ]);
});

test('the mark stands under its character after tabs and wide indentation', () => {
  const [violation] = violationsOf('{\t"apiVersion": "v1",\t"kind": "Servise"}');
  expect(violation && formatViolation(violation)).toContain(
    '    1 | {\t"apiVersion": "v1",\t"kind": "Servise"}\n      |  \t                   \t        ^^^^^^^^^',
  );
  expect(violation?.suggestion).toBe('Service');
});

test('the items of a List are documents with their own places', () => {
  const list = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: reviews}
- apiVersion: v1
  kind: Service
  metadata: {name: "no spaces please"}
`;
  expect(complaintsAbout(list)).toEqual([
    '9:20 error INMESH_CONFIG_INVALID name must be letters, digits, "-" and "."',
  ]);
});

test('a document tells where each of its values stands, long after it was read', () => {
  const store = newStore();
  store.propose('files', {
    files: [{ file: 'mesh.yaml', content: `# first line\n${routeWith('timeout: 3s')}` }],
  });
  const document = store.current.value.get('VirtualService', 'default', 'reviews');
  expect(document?.origin).toEqual({ file: 'mesh.yaml', line: 2, column: 1 });
  expect(document?.position(['spec', 'http', 0, 'timeout'])).toMatchObject({ line: 12, column: 14 });
  expect(document?.position(['spec', 'http', 0, 'nothing', 'here'])).toMatchObject({ line: 9, column: 5 });
});

test('protobuf names of fields are accepted, and found', () => {
  const text = ruleWith('traffic_policy:', '  connection_pool:', '    tcp: {max_connections: -1}');
  expect(complaintsAbout(text)).toEqual([
    '9:30 error INMESH_CONFIG_INVALID maxConnections must be at least 0, not -1',
  ]);
  const both = ruleWith('trafficPolicy: {loadBalancer: {simple: RANDOM}}', 'traffic_policy: {}');
  expect(complaintsAbout(both)).toEqual([
    '7:3 error INMESH_CONFIG_INVALID the field trafficPolicy is given under both of its names',
  ]);
});

test('a value of an enumeration is suggested', () => {
  expect(complaintsAbout(ruleWith('trafficPolicy: {loadBalancer: {simple: ROUND_ROBBIN}}'))).toEqual([
    '7:42 error INMESH_CONFIG_INVALID simple must be one of UNSPECIFIED, LEAST_CONN, RANDOM, PASSTHROUGH, ' +
      'ROUND_ROBIN, LEAST_REQUEST, not "ROUND_ROBBIN" (did you mean "ROUND_ROBIN"?)',
  ]);
});
