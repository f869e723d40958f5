import { expect, test } from 'vitest';
import { readRecorded } from '../../../src/cli/recorded-requests.js';

const read = (...lines: readonly string[]) => readRecorded(lines.join('\n'), 'access.log');

test('lines of JSON: as they are asked, and as access logs have them', () => {
  expect(
    read(
      '{"method":"POST","url":"http://reviews/a","from":"default/web","headers":{"x-beta":"yes"}}',
      '{"authority":"reviews:9080","path":"/b?c=d"}',
      '',
      '{"authority":"reviews:9080","path":"/b?c=d"}',
      '{":authority":"ratings",":path":"/x","method":"PUT","headers":[["a","b"],[":method","PUT"]]}',
      // Istio’s JSON; the second is a connection.
      '{"authority":"reviews","method":"GET","original_path":"/was","path":"/is","protocol":"HTTP/1.1","response_code":200}',
      '{"authority":null,"method":null,"path":null,"protocol":null,"upstream_host":"10.0.0.1:3306"}',
    ),
  ).toEqual([
    { method: 'POST', url: 'http://reviews/a', from: 'default/web', headers: [['x-beta', 'yes']], count: 1 },
    { method: 'GET', url: 'http://reviews:9080/b?c=d', count: 2 },
    { method: 'PUT', url: 'http://ratings/x', headers: [['a', 'b']], count: 1 },
    { method: 'GET', url: 'http://reviews/was', count: 1 },
  ]);
});

test('text of Envoy and of Istio', () => {
  expect(
    read(
      '[2026-01-01T00:00:00.000Z] "GET /status/418 HTTP/1.1" 418 - 0 135 4 4 "-" "curl/7.64.0" "84961386" "httpbin:8000" "10.0.0.1:80"',
      '[2026-01-01T00:00:00.000Z] "GET /s HTTP/1.1" 200 - via_upstream - "-" 0 135 21 20 "-" "curl \\"x\\"" "84961386" "httpbin:8000" "127.0.0.1:80" inbound|8000|| 127.0.0.1:41854 10.44.1.27:80 10.44.1.23:37652 outbound_.8000_._.httpbin default',
      '[2026-01-01T00:00:00.000Z] "- - -" 0 - - - "-" 7 0 1 - "-" "-" "-" "-" "10.0.0.1:3306" outbound|3306||db 10.0.0.2:1 10.0.0.1:3306 10.0.0.2:2 - -',
    ),
  ).toEqual([
    { method: 'GET', url: 'http://httpbin:8000/status/418', count: 1 },
    { method: 'GET', url: 'http://httpbin:8000/s', count: 1 },
  ]);
});

test('a HAR', () => {
  const request = {
    method: 'GET',
    url: 'https://shop.test/cart',
    headers: [
      { name: ':authority', value: 'shop.test' },
      { name: 'cookie', value: 'a=b' },
    ],
  };
  expect(
    read(JSON.stringify({ log: { version: '1.2', entries: [{ request }, { request }] } }, undefined, 2)),
  ).toEqual([{ method: 'GET', url: 'https://shop.test/cart', headers: [['cookie', 'a=b']], count: 2 }]);
});

test.each(['{"method":', '{"colour":"red"}', 'GET / HTTP/1.1', '[x] "GET / HTTP/1.1" 200'])(
  'what is none of these is told with its line: %s',
  (line) => {
    expect(() => read('{"url":"http://a/"}', line)).toThrow(
      'INMESH_OPTION_INVALID: access.log:2 is no recorded request',
    );
  },
);
