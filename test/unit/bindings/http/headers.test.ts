import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { replaceHeaderLines, setForwardedClientCert } from '../../../../src/bindings/http/headers.js';

interface Parsed {
  _addHeaderLines?: ((lines: string[], count: number) => void) | undefined;
}

/** A message as Node's parser makes it; `isFuture` hides the method that a later Node might not have. */
function message(lines: string[], isFuture: boolean): IncomingMessage {
  const made: IncomingMessage & Parsed = new IncomingMessage(new Socket());
  made._addHeaderLines?.(lines, lines.length);
  if (isFuture) Object.defineProperty(made, '_addHeaderLines', { value: undefined });
  return made;
}

const NAME = 'x-forwarded-client-cert';

describe.each([
  ['with', false],
  ['without', true],
])('header lines, %s the method of Node that counts them', (_, isFuture) => {
  test('every spelling of the forged header goes, the others stay in order', () => {
    const request = message(
      ['Host', 'a', 'X-Forwarded-Client-Cert', '1', 'x-b', '2', 'X-FORWARDED-CLIENT-CERT', '3', 'x-b', '4'],
      isFuture,
    );
    setForwardedClientCert(request, undefined);
    expect(request.rawHeaders).toEqual(['Host', 'a', 'x-b', '2', 'x-b', '4']);
    expect({ ...request.headers }).toEqual({ host: 'a', 'x-b': '2, 4' });
    expect({ ...request.headersDistinct }).toEqual({ host: ['a'], 'x-b': ['2', '4'] });
  });

  test('the verified element takes its place', () => {
    const request = message(['x-forwarded-client-cert', 'forged', 'x-b', '2'], isFuture);
    setForwardedClientCert(request, 'URI=spiffe://a/b');
    expect(request.headers[NAME]).toBe('URI=spiffe://a/b');
    expect(request.headersDistinct[NAME]).toEqual(['URI=spiffe://a/b']);
    expect(request.rawHeaders).toEqual(['x-b', '2', 'X-Forwarded-Client-Cert', 'URI=spiffe://a/b']);
  });

  test('a message of that header alone ends up empty', () => {
    const request = message(['x-forwarded-client-cert', 'forged'], isFuture);
    setForwardedClientCert(request, undefined);
    expect([request.rawHeaders, { ...request.headers }, { ...request.headersDistinct }]).toEqual([
      [],
      {},
      {},
    ]);
  });

  test('replaced lines are read as Node reads them', () => {
    const request = message(['x-old', '1'], isFuture);
    void request.headers;
    replaceHeaderLines(request, ['host', 'b', 'cookie', 'a=1', 'cookie', 'b=2', '__proto__', 'x']);
    expect(request.headers.host).toBe('b');
    expect(request.headers.cookie).toBe('a=1; b=2');
    expect(request.headers['x-old']).toBeUndefined();
    expect(request.headersDistinct['cookie']).toEqual(['a=1', 'b=2']);
  });
});
