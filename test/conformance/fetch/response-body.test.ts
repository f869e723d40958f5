import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { Request, Response } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeResponse, readAll, sameAsUndici, settle } from './support/observe.js';
import { openWorlds, type Worlds } from './support/world.js';

let worlds: Worlds;

const BIG = Buffer.alloc(1_500_000, 'abcdefghij');

beforeAll(async () => {
  worlds = await openWorlds();
  const { origin } = worlds;
  origin.on('/text', (_request, response) =>
    response.writeHead(200, { 'content-type': 'text/plain' }).end('hello'),
  );
  origin.on('/none', (_request, response) => response.writeHead(200, { 'content-length': '0' }).end());
  origin.on('/204', (_request, response) => response.writeHead(204).end());
  origin.on('/big', (_request, response) => response.end(BIG));
  origin.on('/json', (_request, response) => response.end('{"a":[1,2,{"b":null}]}'));
  origin.on('/chunks', (_request, response) => {
    response.write('one');
    setImmediate(() => {
      response.write('two');
      setImmediate(() => response.end('three'));
    });
  });
  origin.on('/broken', (_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half');
    setTimeout(() => response.socket?.destroy(), 20);
  });
});
afterAll(() => worlds.close());

const readers: Record<string, (response: Response) => Promise<unknown>> = {
  text: (response) => response.text(),
  json: (response) => response.json(),
  arrayBuffer: async (response) => {
    const buffer = await response.arrayBuffer();
    return [Object.prototype.toString.call(buffer), Buffer.from(buffer).toString('latin1')];
  },
  bytes: async (response) => {
    const bytes: Uint8Array = await response.bytes();
    return [bytes.constructor.name, bytes.byteOffset, Buffer.from(bytes).toString('latin1')];
  },
  blob: async (response) => {
    const blob = await response.blob();
    return [blob instanceof Blob, blob.type, blob.size, await blob.text()];
  },
  formData: async (response) => [...(await response.formData())],
  iteration: async (response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body ?? []) chunks.push(chunk as Uint8Array);
    return [
      chunks.every((chunk) => chunk.constructor === Uint8Array),
      Buffer.concat(chunks).toString('latin1'),
    ];
  },
  reader: async (response) => {
    const reader = response.body?.getReader();
    const chunks: Uint8Array[] = [];
    for (;;) {
      const next = await reader?.read();
      if (next === undefined || next.done)
        return [Buffer.concat(chunks).toString('latin1'), await settle(reader?.closed ?? Promise.resolve())];
      chunks.push(next.value as Uint8Array);
    }
  },
  byob: async (response) => {
    const reader = response.body?.getReader({ mode: 'byob' });
    const chunks: Uint8Array[] = [];
    for (;;) {
      const next = await reader?.read(new Uint8Array(1000));
      if (next === undefined || next.done)
        return [Buffer.concat(chunks).toString('latin1'), next?.value?.byteLength];
      chunks.push(Buffer.from(next.value as Uint8Array));
    }
  },
  tee: async (response) => {
    const halves = response.body?.tee() ?? [];
    return Promise.all(halves.map((half) => new Response(half as never).text()));
  },
  pipeThrough: async (response) => {
    const through = (response.body as ReadableStream | null)?.pipeThrough(new TextDecoderStream());
    let text = '';
    for await (const piece of through ?? []) text += piece;
    return text;
  },
  pipeTo: async (response) => {
    const chunks: Uint8Array[] = [];
    await (response.body as ReadableStream | null)?.pipeTo(
      new WritableStream({ write: (chunk) => void chunks.push(chunk) }),
    );
    return Buffer.concat(chunks).toString('latin1');
  },
  fromWeb: async (response) => {
    if (response.body === null) return null;
    const chunks: Uint8Array[] = [];
    for await (const chunk of Readable.fromWeb(response.body as never)) chunks.push(chunk as Uint8Array);
    return Buffer.concat(chunks).toString('latin1');
  },
  'another Response': async (response) => readAll(new Response(response.body, response)),
  'a platform Response': (response) => new globalThis.Response(response.body as never).text(),
  'a Request': (response) =>
    new Request('http://a.test', { method: 'POST', body: response.body as never, duplex: 'half' }).text(),
  clone: async (response) => {
    const copy = response.clone();
    return [
      describeResponse(copy),
      await copy.text(),
      await response.text(),
      copy.bodyUsed,
      response.bodyUsed,
    ];
  },
  'clone read last': async (response) => {
    const copy = response.clone();
    return [await response.text(), await copy.text()];
  },
  'clone of a clone': async (response) => {
    const texts = [response, response.clone()].map((one) => one.clone());
    return Promise.all([response, ...texts].map((one) => one.text()));
  },
};

describe('a body is read by', () => {
  const cases = Object.keys(readers).flatMap((reader) =>
    ['/text', '/none', '/204', '/chunks', '/json', '/broken', '/big'].map((path) => [reader, path] as const),
  );
  test.each(cases)('%s of %s', async (name, path) => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const response = await fetch(base + path);
      // An entry of the table.
      const read = readers[name] as (response: Response) => Promise<unknown>;
      const first = await settle(read(response));
      const { bodyUsed, body } = response;
      return [first, bodyUsed, body?.locked, path === '/big' ? '' : inspect(body)];
    });
  });
});

describe('a body that was read before', () => {
  const names = Object.keys(readers);
  test.each(names)('%s twice', async (name) => {
    const read = readers[name] as (response: Response) => Promise<unknown>;
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const response = await fetch(`${base}/text`);
      await settle(read(response));
      return [
        await settle(() => read(response)),
        await settle(() => response.clone()),
        await settle(response.text()),
      ];
    });
  });

  test.each(['/none', '/204'])('%s', async (path) => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const response = await fetch(base + path);
      const reads = [
        () => response.text(),
        () => response.arrayBuffer(),
        () => response.json(),
        () => response.blob(),
      ];
      const results: unknown[] = [];
      for (const read of reads) results.push(await settle(read), response.bodyUsed);
      return results;
    });
  });

  test('while it is read', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const response = await fetch(`${base}/chunks`);
      const both = [response.text(), response.text()];
      return [response.bodyUsed, response.body?.locked, await Promise.all(both.map((one) => settle(one)))];
    });
  });

  test('by a reader that let go', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const response = await fetch(`${base}/text`);
      const reader = response.body?.getReader();
      const before = [response.bodyUsed, response.body?.locked, await settle(response.text())];
      reader?.releaseLock();
      return [before, response.bodyUsed, await settle(response.text())];
    });
  });
});

describe('json of', () => {
  test.each([
    '',
    ' ',
    '{',
    'null',
    '1',
    '"a"',
    '[1',
    '\ufeff{"a":1}',
    '{"a":1}x',
    '{"__proto__":{"a":1}}',
    '\u0000',
  ])('%j', async (text) => {
    worlds.origin.on('/is', (_request, response) => response.end(text));
    await sameAsUndici(worlds, async ({ fetch, base }) => (await fetch(`${base}/is`)).json());
  });
});

describe('text of', () => {
  test.each<[string, Buffer]>([
    ['a byte order mark', Buffer.from('\ufeffhello')],
    ['two byte order marks', Buffer.from('\ufeff\ufeffhello')],
    ['half a byte order mark', Buffer.from([0xef, 0xbb])],
    ['UTF-16', Buffer.from('hello', 'utf16le')],
    ['bytes that are no UTF-8', Buffer.from([0x61, 0xff, 0xc3, 0x28, 0x62, 0xe2, 0x82])],
    ['lone surrogates', Buffer.from([0xed, 0xa0, 0x80, 0x61])],
    ['emoji', Buffer.from('🙂🙂')],
    ['NUL', Buffer.from('a\0b')],
  ])('%s', async (_name, bytes) => {
    for (const type of ['text/plain', 'text/plain;charset=iso-8859-1', 'text/plain;charset=utf-16']) {
      worlds.origin.on('/is', (_request, response) =>
        response.writeHead(200, { 'content-type': type }).end(bytes),
      );
      await sameAsUndici(worlds, async ({ fetch, base }) => (await fetch(`${base}/is`)).text());
    }
  });
});

describe('blob of type', () => {
  test.each([
    '',
    'text/plain',
    'TEXT/Plain;Charset="UTF-8"',
    'text/html; a=b; c="d e"',
    'nonsense',
    '*/*',
    'a/b, c/d',
    'image/png;',
    'text/plain;charset=x, text/html',
  ])('%j', async (type) => {
    worlds.origin.on('/is', (_request, response) =>
      response.writeHead(200, { 'content-type': type }).end('x'),
    );
    await sameAsUndici(worlds, async ({ fetch, base }) => (await (await fetch(`${base}/is`)).blob()).type);
  });
});

describe('formData of', () => {
  const part = (head: string, body: string) => `--b\r\n${head}\r\n\r\n${body}\r\n`;
  const multipart = 'multipart/form-data; boundary=b';
  test.each<[string, string, string]>([
    ['fields', 'application/x-www-form-urlencoded', 'a=1&b=%C3%A4+c&a=2&=e&f'],
    ['no fields', 'application/x-www-form-urlencoded', ''],
    ['parts', multipart, `${part('Content-Disposition: form-data; name="a"', '1')}--b--\r\n`],
    [
      'a file',
      multipart,
      `${part('Content-Disposition: form-data; name="f"; filename="n.txt"\r\nContent-Type: text/x', 'in it')}--b--\r\n`,
    ],
    ['no parts', multipart, '--b--\r\n'],
    ['no end', multipart, part('Content-Disposition: form-data; name="a"', '1')],
    ['no name', multipart, `${part('Content-Disposition: form-data', '1')}--b--\r\n`],
    ['no boundary', 'multipart/form-data', '--b--'],
    ['nonsense', multipart, 'nonsense'],
    ['another type', 'text/plain', 'a=1'],
    ['no type', '', 'a=1'],
  ])('%s', async (_name, type, body) => {
    worlds.origin.on('/form', (_request, response) => {
      response.writeHead(200, type === '' ? {} : { 'content-type': type }).end(body);
    });
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const form = await (await fetch(`${base}/form`)).formData();
      const entries = [...form].map(async ([name, value]) =>
        typeof value === 'string' ? [name, value] : [name, value.name, value.type, await value.text()],
      );
      return [form.constructor.name, await Promise.all(entries)];
    });
  });
});

describe('content coding', () => {
  const text = Buffer.from('zipped '.repeat(1000));
  const cut = (bytes: Buffer) => bytes.subarray(0, bytes.length - 12);
  test.each<[string, Buffer]>([
    ['gzip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['GZip', gzipSync(text)],
    [' gzip ', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['br', brotliCompressSync(text)],
    ['gzip, br', brotliCompressSync(gzipSync(text))],
    ['br,gzip', gzipSync(brotliCompressSync(text))],
    ['deflate, gzip, br', brotliCompressSync(gzipSync(deflateSync(text)))],
    ['gzip, gzip, gzip, gzip, gzip', [1, 2, 3, 4, 5].reduce((bytes) => gzipSync(bytes), text)],
    ['gzip, gzip, gzip, gzip, gzip, gzip', [1, 2, 3, 4, 5, 6].reduce((bytes) => gzipSync(bytes), text)],
    ['identity', text],
    ['unknown', text],
    ['gzip, unknown', gzipSync(text)],
    ['', text],
    [',', text],
    ['gzip', text],
    ['deflate', text],
    ['br', text],
    ['gzip', cut(gzipSync(text))],
    ['deflate', cut(deflateSync(text))],
    ['br', cut(brotliCompressSync(text))],
    ['gzip', Buffer.concat([gzipSync(text), Buffer.from('after')])],
    ['gzip', Buffer.concat([gzipSync(text), gzipSync(text)])],
    ['gzip', Buffer.alloc(0)],
    ['deflate', Buffer.alloc(0)],
    ['br', Buffer.alloc(0)],
    ['gzip', gzipSync(Buffer.alloc(3_000_000, 'big'))],
  ])('%j', async (coding, bytes) => {
    worlds.origin.on('/coded', (_request, response) => {
      response.writeHead(200, { 'content-encoding': coding, 'content-length': bytes.length }).end(bytes);
    });
    await sameAsUndici(worlds, async ({ fetch, base }) => readAll(await fetch(`${base}/coded`)));
    await sameAsUndici(worlds, async ({ fetch, base }) =>
      readAll(await fetch(`${base}/coded`, { method: 'HEAD' })),
    );
  });

  test.each([204, 304, 301])('of an answer of %i', async (status) => {
    worlds.origin.on('/coded', (_request, response) => {
      response
        .writeHead(status, { 'content-encoding': 'gzip' })
        .end(status === 301 ? gzipSync(text) : undefined);
    });
    await sameAsUndici(worlds, async ({ fetch, base }) => readAll(await fetch(`${base}/coded`)));
  });

  test('of a body that breaks off', async () => {
    worlds.origin.on('/coded', (_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': '100000' });
      response.write(gzipSync(text).subarray(0, 20));
      setTimeout(() => response.socket?.destroy(), 20);
    });
    await sameAsUndici(worlds, async ({ fetch, base }) => readAll(await fetch(`${base}/coded`)));
  });
});

describe('cancelling a body', () => {
  test.each<[string, (response: Response) => Promise<unknown>]>([
    ['at once', async (response) => response.body?.cancel('enough')],
    ['by its reader', async (response) => response.body?.getReader().cancel(new Error('enough'))],
    [
      'after a chunk',
      async (response) => {
        const reader = response.body?.getReader();
        await reader?.read();
        await reader?.cancel();
        return settle(reader?.read() ?? Promise.resolve());
      },
    ],
    [
      'by leaving a loop',
      async (response) => {
        for await (const _chunk of response.body ?? []) break;
      },
    ],
    [
      'both halves of a tee',
      async (response) => {
        const halves = response.body?.tee() ?? [];
        return Promise.all(halves.map((half) => half.cancel('enough')));
      },
    ],
  ])('%s closes its connection', async (_name, cancel) => {
    await sameAsUndici(worlds, async ({ fetch, base, origin }) => {
      let closed: (() => void) | undefined;
      const gone = new Promise<void>((resolve) => {
        closed = resolve;
      });
      origin.onHead('/endless', (_request, response) => {
        const write = () => {
          while (!response.destroyed && response.write('x'.repeat(1000)));
        };
        response.on('drain', write).on('close', () => closed?.());
        write();
      });
      const response = await fetch(`${base}/endless`);
      const result = await settle(cancel(response));
      await gone;
      return [result, response.bodyUsed, response.body?.locked, await settle(response.text())];
    });
  });

  test('of a locked stream is refused', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const response = await fetch(`${base}/text`);
      response.body?.getReader();
      return settle(response.body?.cancel() ?? Promise.resolve());
    });
  });
});

test('a body that nobody reads holds the server back', async () => {
  await sameAsUndici(worlds, async ({ fetch, base, origin }) => {
    let blocked: (() => void) | undefined;
    const full = new Promise<void>((resolve) => {
      blocked = resolve;
    });
    origin.onHead('/flood', (_request, response) => {
      let timer: NodeJS.Timeout;
      const write = () => {
        clearTimeout(timer);
        while (!response.destroyed && response.write('x'.repeat(100_000)));
        timer = setTimeout(() => blocked?.(), 100);
      };
      response.on('drain', write).on('close', () => clearTimeout(timer));
      write();
    });
    const response = await fetch(`${base}/flood`);
    await full;
    await response.body?.cancel();
    return 'held';
  });
});

test('the chunks of a body are memory of their own', async () => {
  const { outcome } = await sameAsUndici(worlds, async ({ fetch, base }) => {
    const response = await fetch(`${base}/text`);
    const next = await response.body?.getReader().read();
    const chunk = next?.value as Uint8Array;
    return [chunk.byteOffset, chunk.byteLength, chunk.buffer.byteLength];
  });
  expect(outcome).toEqual({ value: [0, 5, 5] });
});
