import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inspectClientHello } from '../../../../src/bindings/tcp/client-hello.js';

/** The first bytes that Node's TLS sends. */
function helloOf(options: {
  readonly servername?: string;
  readonly ALPNProtocols?: string[];
}): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(chunk);
        done();
      },
    });
    connect({ socket: wire, ...options }).on('error', () => {});
  });
}

describe('a ClientHello', () => {
  test('shows its server name and ALPN names', async () => {
    const bytes = await helloOf({ servername: 'DB.Example.com', ALPNProtocols: ['istio', 'h2'] });
    expect(inspectClientHello(bytes)).toEqual({
      serverName: 'db.example.com',
      applicationProtocols: ['istio', 'h2'],
    });
  });

  test('may name neither', async () => {
    expect(inspectClientHello(await helloOf({}))).toEqual({ serverName: '', applicationProtocols: [] });
  });

  test('is waited for while it is not complete', async () => {
    const bytes = await helloOf({ servername: 'a.example' });
    for (let length = 0; length < bytes.length; length += 7) {
      expect(inspectClientHello(bytes.subarray(0, length))).toBe('more');
    }
  });

  test('may come in several records', async () => {
    const bytes = await helloOf({ servername: 'a.example' });
    const body = bytes.subarray(5);
    const record = (part: Buffer) => {
      const head = Buffer.from([22, 3, 1, 0, 0]);
      head.writeUInt16BE(part.length, 3);
      return Buffer.concat([head, part]);
    };
    const split = Buffer.concat([
      record(body.subarray(0, 2)),
      record(body.subarray(2, 50)),
      record(body.subarray(50)),
    ]);
    expect(inspectClientHello(split)).toMatchObject({ serverName: 'a.example' });
  });
});

test.each([
  ['text', Buffer.from('GET / HTTP/1.1\r\n')],
  ['another record', Buffer.from([23, 3, 3, 0, 1, 0])],
  ['another handshake message', Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
  ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
  ['an enormous message', Buffer.from([22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff])],
  ['a message that is cut off inside', Buffer.from([22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3])],
])('%s is not TLS', (_what, bytes) => {
  expect(inspectClientHello(bytes)).toBe('not-tls');
});

test('no bytes make it throw', async () => {
  const hello = await helloOf({ servername: 'a.example', ALPNProtocols: ['h2'] });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }), fc.nat(), (changes, cut) => {
      const bytes = Buffer.from(hello);
      for (const [position, value] of changes) bytes[position % bytes.length] = value;
      inspectClientHello(bytes.subarray(0, cut % (bytes.length + 1)));
    }),
  );
});
