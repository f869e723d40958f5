import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { buffer } from '../../../src/filters/buffer.js';
import { compressor } from '../../../src/filters/compressor.js';
import { chooseCoding } from '../../../src/filters/content-coding.js';
import { decompressor } from '../../../src/filters/decompressor.js';
import type { CompressorConfig, DecompressorConfig } from '../../../src/model/body-filters.js';
import { BodyQueue, bytesBody, readBody } from '../../../src/service/body.js';
import { compose, type Filter, type Request, type Response } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { filterTools, makeRequest, makeResponse } from './support.js';

const TEXT = 'hello, hello, hello, hello, hello, hello';
const tools = () => filterTools(createFakeClock());

const GZIP: CompressorConfig = {
  kind: 'compressor',
  name: 'text',
  library: { kind: 'gzip', level: 0, memoryLevel: 5, strategy: 0, windowBits: 12, chunkBytes: 4096 },
  request: undefined,
  response: {
    enabled: true,
    minLength: 30,
    contentTypes: [],
    disableOnEtag: false,
    removeAcceptEncoding: false,
  },
  chooseFirst: false,
};
const BROTLI: CompressorConfig = {
  ...GZIP,
  name: 'br',
  library: {
    kind: 'brotli',
    quality: 3,
    mode: 'default',
    windowBits: 18,
    inputBlockBits: 24,
    chunkBytes: 4096,
    disableLiteralContext: false,
  },
};
const GUNZIP: DecompressorConfig = {
  kind: 'decompressor',
  name: 'basic',
  library: { kind: 'gzip', windowBits: 15, chunkBytes: 4096, maxRatio: 100 },
  request: { enabled: true, ignoreNoTransform: false, advertise: true },
  response: { enabled: true, ignoreNoTransform: false },
};

function answer(
  header: Record<string, string> = {},
  body: string | Uint8Array = TEXT,
  status = 200,
): Response {
  const length = String(Buffer.byteLength(body));
  const base = makeResponse(status, { 'content-type': 'text/plain', 'content-length': length, ...header });
  return { ...base, body: bytesBody(body) };
}

async function through(
  filters: readonly (Filter | undefined)[],
  request: Request,
  response: Response | ((request: Request) => Response) = answer(),
): Promise<Response> {
  const present = filters.filter((one) => one !== undefined);
  return compose(present, async (sent) => (typeof response === 'function' ? response(sent) : response))(
    request,
  );
}

const accepting = (value: string) => makeRequest({ header: { 'accept-encoding': value } });

describe('compressor', () => {
  test('compresses what the caller accepts so', async () => {
    const own = tools();
    const response = await through([compressor(GZIP, [], own)], accepting('gzip, br'));
    expect(gunzipSync(await readBody(response.body)).toString()).toBe(TEXT);
    expect([...response.headers]).toEqual([
      ['content-type', 'text/plain'],
      ['content-encoding', 'gzip'],
      ['vary', 'Accept-Encoding'],
    ]);
    const figure = (name: string) => own.memory.counter(`compressor.text.gzip.response.${name}`).value;
    expect([figure('compressed'), figure('total_uncompressed_bytes')]).toEqual([1, TEXT.length]);
    expect(figure('total_compressed_bytes')).toBeGreaterThan(0);
  });

  test('by Brotli', async () => {
    const response = await through([compressor(BROTLI, [], tools())], accepting('br'));
    expect(response.headers.get('content-encoding')).toBe('br');
    expect(brotliDecompressSync(await readBody(response.body)).toString()).toBe(TEXT);
  });

  test('chunks do not wait for more', async () => {
    const source = new BodyQueue({ resume() {}, cancel() {} });
    source.push(Buffer.from('first'));
    const response = await through([compressor(GZIP, [], tools())], accepting('gzip'), {
      ...answer(),
      body: source,
    });
    let bytes = 0;
    if (response.body.kind !== 'push') throw new Error('it is not streamed');
    response.body.attach({
      data(chunk) {
        bytes += chunk.byteLength;
        return true;
      },
      end() {},
      error() {},
    });
    // More than gzip's header of ten bytes: the data itself.
    await expect.poll(() => bytes).toBeGreaterThan(12);
    source.end();
  });

  test.each<[string, Request, Response, string | undefined]>([
    ['who does not say what is accepted', makeRequest(), answer(), 'Accept-Encoding'],
    ['who does not accept it', accepting('br'), answer(), 'Accept-Encoding'],
    ['a short one', accepting('gzip'), answer({}, 'short'), undefined],
    ['another type', accepting('gzip'), answer({ 'content-type': 'image/png' }), undefined],
    ['one that is encoded', accepting('gzip'), answer({ 'content-encoding': 'br' }), undefined],
    [
      'one that must stay',
      accepting('gzip'),
      answer({ 'cache-control': 'no-store, No-Transform' }),
      undefined,
    ],
    [
      'one that is compressed on the way',
      accepting('gzip'),
      answer({ 'transfer-encoding': 'gzip' }),
      'Accept-Encoding',
    ],
    [
      'none: HEAD',
      makeRequest({ method: 'HEAD', header: { 'accept-encoding': 'gzip' } }),
      answer(),
      'Accept-Encoding',
    ],
    ['none: 304', accepting('gzip'), answer({}, TEXT, 304), 'Accept-Encoding'],
  ])('leaves alone %s', async (_name, request, response, vary) => {
    const got = await through([compressor(GZIP, [], tools())], request, response);
    expect(got.headers.get('content-encoding')).toBe(response.headers.get('content-encoding'));
    expect(got.body.kind).toBe('bytes');
    expect(got.headers.get('vary')).toBe(vary);
  });

  test('a strong ETag does not stay, a weak one does; either may forbid it', async () => {
    const etagOf = async (etag: string, config = GZIP) =>
      (await through([compressor(config, [], tools())], accepting('gzip'), answer({ etag }))).headers.get(
        'etag',
      );
    expect(await etagOf('"a"')).toBeUndefined();
    expect(await etagOf('W/"a"')).toBe('W/"a"');
    const careful = { ...GZIP, response: { ...GZIP.response, disableOnEtag: true } };
    expect(await etagOf('"a"', careful)).toBe('"a"');
  });

  test('vary is added to, once', async () => {
    const varyOf = async (vary: string) =>
      (await through([compressor(GZIP, [], tools())], accepting('gzip'), answer({ vary }))).headers.get(
        'vary',
      );
    expect(await varyOf('Origin')).toBe('Origin, Accept-Encoding');
    expect(await varyOf('accept-encoding')).toBe('accept-encoding');
  });

  test('of two, the one that the caller likes best', async () => {
    const both = () => [compressor(GZIP, [], tools()), compressor(BROTLI, [], tools())];
    const codingOf = async (accept: string) =>
      (await through(both(), accepting(accept))).headers.get('content-encoding');
    expect(await codingOf('gzip;q=0.5, br')).toBe('br');
    expect(await codingOf('gzip, br;q=0.5')).toBe('gzip');
  });

  test('a route turns it off, or keeps accept-encoding from the upstream', async () => {
    const off = { kind: 'compressor-route', disabled: true, removeAcceptEncoding: undefined } as const;
    expect(compressor(GZIP, [off], tools())).toBeUndefined();
    const hides = { kind: 'compressor-route', disabled: false, removeAcceptEncoding: true } as const;
    let sent: string | undefined = 'nothing';
    const response = await through([compressor(GZIP, [hides], tools())], accepting('gzip'), (request) => {
      sent = request.headers.get('accept-encoding');
      return answer();
    });
    expect([sent, response.headers.get('content-encoding')]).toEqual([undefined, 'gzip']);
  });

  test('compresses requests where it is asked to', async () => {
    const config = { ...GZIP, request: { enabled: true, minLength: 30, contentTypes: [] } };
    const request = makeRequest({
      method: 'POST',
      header: { 'content-type': 'application/json; charset=utf-8', 'content-length': String(TEXT.length) },
      body: bytesBody(TEXT),
    });
    await through([compressor(config, [], tools())], request);
    expect([...request.headers]).toEqual([
      ['content-type', 'application/json; charset=utf-8'],
      ['content-encoding', 'gzip'],
    ]);
    expect(gunzipSync(await readBody(request.body)).toString()).toBe(TEXT);
  });
});

describe('the choice of a coding', () => {
  const offers = [
    { coding: 'gzip', isFirst: false },
    { coding: 'br', isFirst: false },
  ];

  test.each<[string, string | undefined]>([
    ['gzip', 'gzip'],
    ['br, gzip', 'br'],
    ['deflate', undefined],
    ['*', 'gzip'],
    ['gzip;q=0, *', 'br'],
    ['*;q=0', undefined],
    ['gzip;q=0', undefined],
    ['gzip;q=0.3, identity', undefined],
    ['identity;q=0.3, gzip', 'gzip'],
    ['gzip;q=bad, br;q=0.1', 'br'],
    ['GZIP ; q=1', 'gzip'],
    ['', undefined],
  ])('%s: %s', (accept, coding) => {
    expect(chooseCoding(accept.split(','), offers)).toBe(coding);
  });

  test('one that is first goes before others that are liked as much', () => {
    const first = [
      { coding: 'gzip', isFirst: false },
      { coding: 'br', isFirst: true },
    ];
    expect(chooseCoding(['gzip', 'br'], first)).toBe('br');
    expect(chooseCoding(['gzip', 'br;q=0.9'], first)).toBe('gzip');
  });
});

describe('decompressor', () => {
  const zipped = gzipSync(TEXT);

  test('decompresses both sides, and tells the upstream so', async () => {
    const request = makeRequest({
      method: 'POST',
      header: { 'content-encoding': 'gzip', 'content-length': '9', 'accept-encoding': 'br' },
      body: bytesBody(zipped),
    });
    const response = await through(
      [decompressor(GUNZIP, tools())],
      request,
      answer({ 'content-encoding': 'gzip' }, zipped),
    );
    expect([...request.headers]).toEqual([['accept-encoding', 'br,gzip']]);
    expect((await readBody(request.body)).toString()).toBe(TEXT);
    expect([...response.headers]).toEqual([['content-type', 'text/plain']]);
    expect((await readBody(response.body)).toString()).toBe(TEXT);
  });

  test('only the outermost coding comes off', async () => {
    const response = await through(
      [decompressor(GUNZIP, tools())],
      makeRequest(),
      answer({ 'content-encoding': 'br, gzip' }, zipped),
    );
    expect(response.headers.get('content-encoding')).toBe('br');
  });

  test.each([
    ['another coding', { 'content-encoding': 'gzip, br' }],
    ['what must stay', { 'content-encoding': 'gzip', 'cache-control': 'no-transform' }],
    ['what is not compressed', {} as Record<string, string>],
  ])('leaves alone %s', async (_name, header) => {
    const response = await through([decompressor(GUNZIP, tools())], makeRequest(), answer(header, zipped));
    expect(response.body).toEqual(bytesBody(zipped));
  });

  test('a bomb and a broken body break off', async () => {
    const strict: DecompressorConfig = {
      ...GUNZIP,
      library: { kind: 'gzip', windowBits: 15, chunkBytes: 4096, maxRatio: 10 },
    };
    const read = async (bytes: Uint8Array) => {
      const response = await through(
        [decompressor(strict, tools())],
        makeRequest(),
        answer({ 'content-encoding': 'gzip' }, bytes),
      );
      return readBody(response.body);
    };
    await expect(read(gzipSync(Buffer.alloc(1_000_000)))).rejects.toMatchObject({
      code: 'INMESH_BODY_TOO_LARGE',
    });
    await expect(read(Buffer.from('no gzip at all'))).rejects.toMatchObject({ code: 'Z_DATA_ERROR' });
    expect((await read(gzipSync('short'))).toString()).toBe('short');
  });

  test.each([
    ['gzip', GUNZIP.library, gzipSync(Buffer.alloc(16 * 1024 * 1024))],
    [
      'br',
      { kind: 'brotli', chunkBytes: 4096, disableRingBufferGrowth: false },
      brotliCompressSync(Buffer.alloc(16 * 1024 * 1024)),
    ],
  ] as const)(
    'a bomb of %s costs no more than a hundred times its length',
    async (coding, library, bytes) => {
      const own = tools();
      const response = await through(
        [decompressor({ ...GUNZIP, library }, own)],
        makeRequest(),
        answer({ 'content-encoding': coding }, bytes),
      );
      await expect(readBody(response.body)).rejects.toMatchObject({ code: 'INMESH_BODY_TOO_LARGE' });
      const [, made] = [...own.memory.counters].find(([name]) => name.includes('total_uncompressed')) ?? [];
      expect(made?.value).toBeLessThanOrEqual(100 * bytes.length);
    },
  );
});

describe('buffer', () => {
  const streamed = (...chunks: string[]) => {
    const queue = new BodyQueue({ resume() {}, cancel() {} });
    for (const chunk of chunks) queue.push(Buffer.from(chunk));
    queue.end();
    return queue;
  };
  const LIMIT = { kind: 'buffer', maxRequestBytes: 10 } as const;
  const send = async (request: Request, layers: Parameters<typeof buffer>[1] = []) =>
    through([buffer(LIMIT, layers)], request, (sent) =>
      answer({ 'x-length': sent.headers.get('content-length') ?? '', 'x-body': sent.body.kind }),
    );

  test('reads a request whole and gives it a length', async () => {
    const { headers } = await send(makeRequest({ body: streamed('hel', 'lo') }));
    expect([headers.get('x-length'), headers.get('x-body')]).toEqual(['5', 'bytes']);
  });

  test('refuses what is longer with 413', async () => {
    const request = makeRequest({ body: streamed('hello', ' world') });
    const response = await send(request);
    expect([response.status, response.local, request.context.details]).toEqual([
      413,
      { reason: 'INMESH_BODY_TOO_LARGE', details: 'request_payload_too_large' },
      'request_payload_too_large',
    ]);
    expect(response.body).toEqual(bytesBody('Payload Too Large'));
  });

  test('a route has another limit, or none', async () => {
    const long = () => makeRequest({ body: streamed('hello', ' world') });
    expect((await send(long(), [{ kind: 'buffer-route', maxRequestBytes: 20 }])).status).toBe(200);
    expect(buffer(LIMIT, [{ kind: 'buffer-route', maxRequestBytes: undefined }])).toBeUndefined();
  });

  test('a request without a body goes through', async () => {
    expect((await send(makeRequest())).headers.get('x-length')).toBe('');
  });
});
