import { describe, expect, test } from 'vitest';
import { requestText } from '../../../../../src/bindings/http/http2/request-text.js';

const lines = (head: Record<string, string>): string[] => Object.entries(head).flat();

describe('a CONNECT of HTTP/2, as HTTP/1.1 says it', () => {
  test('an upgrade becomes a GET that asks for it', () => {
    const text = requestText(
      lines({
        ':method': 'CONNECT',
        ':protocol': 'WebSocket',
        ':scheme': 'https',
        ':path': '/room',
        ':authority': 'chat',
        'sec-websocket-key': 'abc',
      }),
      true,
    );
    expect(text).toEqual({
      method: 'GET',
      isChunked: false,
      upgrade: 'websocket',
      head: 'GET /room HTTP/1.1\r\nhost: chat\r\nconnection: Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-key: abc\r\n\r\n',
    });
  });

  test('a WebSocket has a key, which HTTP/2 does without', () => {
    const head = { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', ':authority': 'chat' };
    expect(requestText(lines(head), true)?.head).toMatch(/\r\nsec-websocket-key: [\w+/]{22}==\r\n/);
  });

  test('a plain one stays one', () => {
    const text = requestText(lines({ ':method': 'CONNECT', ':authority': 'db:5432' }), true);
    expect(text).toMatchObject({
      method: 'CONNECT',
      upgrade: 'connect',
      head: 'CONNECT db:5432 HTTP/1.1\r\nhost: db:5432\r\n\r\n',
    });
  });

  test.each([
    { ':method': 'CONNECT' },
    { ':method': 'CONNECT', ':authority': 'a b' },
    { ':method': 'CONNECT', ':authority': 'a', ':path': '/' },
    { ':method': 'CONNECT', ':authority': 'a', ':scheme': 'http' },
    { ':method': 'CONNECT', ':authority': 'a', ':protocol': 'websocket' },
    { ':method': 'CONNECT', ':authority': 'a', ':path': '/', ':protocol': 'web socket' },
    { ':method': 'CONNECT', ':authority': 'a', ':path': '/ HTTP/1.1', ':protocol': 'websocket' },
    { ':method': 'GET', ':authority': 'a', ':path': '/', ':protocol': 'websocket' },
  ])('%j can’t be said', (head) => {
    expect(requestText(lines(head), true)).toBeUndefined();
  });
});
