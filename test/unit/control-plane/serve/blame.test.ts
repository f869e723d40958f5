import { expect, test } from 'vitest';
import { blamed } from '../../../../src/control-plane/serve/blame.js';

const resources = ['a', 'a.b', 'a:80', 'outbound|80||a.b'].map((name) => ({
  name,
  bytes: new Uint8Array(),
  hash: '',
}));

test.each([
  ['Error adding/updating cluster(s) a: bad, a.b: worse', ['a', 'a.b']],
  ['CDS outbound|80||a.b: name', ['outbound|80||a.b']],
  ['the trouble is a.', ['a']],
  ['something is wrong', ['a', 'a.b', 'a:80', 'outbound|80||a.b']],
  ['LDS a:80: no', ['a:80']],
])('%s', (error, names) => {
  expect(blamed(resources, error).map(({ name }) => name)).toEqual(names);
});
