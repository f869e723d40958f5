import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MessageReader } from '../../../../src/bindings/http-agent/message-reader.js';

function readAll(pieces: readonly Buffer[]): string[] {
  const seen: string[] = [];
  let body = '';
  const reader = new MessageReader({
    head: ({ method, target, lines }) => seen.push(`${method} ${target} ${lines.join('|')}`),
    data: (chunk) => {
      body += chunk.toString('latin1');
    },
    end: (trailers) => {
      seen.push(`${body}.${trailers.join('|')}`);
      body = '';
    },
    beyond: (chunk) => {
      body += chunk.toString('latin1');
    },
  });
  for (const piece of pieces) reader.read(piece);
  return body === '' ? seen : [...seen, body];
}

const MESSAGES: readonly (readonly [string, string, readonly string[]])[] = [
  ['no body', 'GET /a HTTP/1.1\r\nHost: x\r\nX-A: b:c\r\n\r\n', ['GET /a Host|x|X-A|b:c', '.']],
  ['a length', 'POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc', ['POST / Content-Length|3', 'abc.']],
  [
    'chunks',
    'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n',
    ['POST / Transfer-Encoding|chunked', 'abc0123456789.'],
  ],
  [
    'trailers',
    'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n',
    ['POST / Transfer-Encoding|chunked', 'a.X-Sum|1'],
  ],
  ['a method of its own', 'FOO / HTTP/1.1\r\n\r\n', ['FOO / ', '.']],
  ['a tunnel', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nbytes', ['CONNECT a:1 Host|a:1', '.', 'bytes']],
];

describe('MessageReader', () => {
  test.each(MESSAGES)('%s', (_name, text, expected) => {
    expect(readAll([Buffer.from(text, 'latin1')])).toEqual(expected);
  });

  test('reads the same however the bytes are cut', () => {
    const repeatable = MESSAGES.filter(([name]) => name !== 'a tunnel');
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...repeatable), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(200), { maxLength: 12 }),
        (messages, cuts) => {
          const bytes = Buffer.from(messages.map(([, text]) => text).join(''), 'latin1');
          const places = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
          const pieces = places.slice(1).map((end, i) => bytes.subarray(places[i], end));
          expect(readAll(pieces)).toEqual(messages.flatMap(([, , expected]) => expected));
        },
      ),
    );
  });
});
