import * as grpc from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { meshChannel } from '../../../src/bindings/grpc/mesh-client.js';
import type { StaticMesh } from '../support/static-mesh.js';
import {
  type Answer,
  answer,
  answerOnly,
  deflated,
  frame,
  gzipped,
  reset,
  type Script,
  type ScriptedServer,
  serveScripts,
} from './scripted-server.js';
import { grpcMesh, SHOP } from './support.js';

/**
 * The same calls by a plain channel of grpc-js and through the mesh must end the same: what a server answers, however odd,
 * is the application's to see as it would without the mesh.
 */
const scripts: Record<string, Script> = {};
let server: ScriptedServer;
let mesh: StaticMesh;
let plain: grpc.Client;
let meshed: grpc.Client;

const OPTIONS = { 'grpc.max_receive_message_length': 100_000, 'grpc.enable_retries': 0 };

beforeAll(async () => {
  server = await serveScripts(scripts);
  mesh = grpcMesh([server.port]);
  plain = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure(), OPTIONS);
  const channelOverride = meshChannel(mesh, SHOP, OPTIONS);
  meshed = new grpc.Client(SHOP, grpc.credentials.createInsecure(), { channelOverride });
});

afterAll(async () => {
  plain.close();
  meshed.close();
  await mesh.close();
  await server.close();
});

const same = (bytes: Buffer) => bytes;
const NONE = new grpc.Metadata();

/** What the application sees of a call. */
interface Seen {
  readonly initial: unknown;
  readonly messages: readonly string[];
  readonly code: grpc.status;
  readonly details: string;
  readonly trailing: unknown;
}

/** The date is the server's affair. */
function shown(metadata: grpc.Metadata): unknown {
  const { date: _date, ...rest } = metadata.toJSON() as Record<string, unknown>;
  return rest;
}

type Kind = 'unary' | 'server-stream' | 'client-stream' | 'duplex';

function see(client: grpc.Client, script: string, kind: Kind, metadata = NONE): Promise<Seen> {
  const path = `/test.Script/${script}`;
  return new Promise((resolve) => {
    const messages: string[] = [];
    let initial: unknown;
    const done = (_error: unknown, message?: Buffer) => {
      if (message !== undefined) messages.push(message.toString('latin1'));
    };
    const call = start(client, path, kind, metadata, done);
    call.on('metadata', (found: grpc.Metadata) => {
      initial = shown(found);
    });
    call.on('status', ({ code, details, metadata: trailing }: grpc.StatusObject) =>
      resolve({ initial, messages, code, details, trailing: shown(trailing) }),
    );
    if ('read' in call) {
      call.on('data', (message: Buffer) => messages.push(message.toString('latin1')));
      call.on('error', () => {});
    }
  });
}

function start(
  client: grpc.Client,
  path: string,
  kind: Kind,
  metadata: grpc.Metadata,
  done: (error: unknown, message?: Buffer) => void,
) {
  const question = Buffer.from('question');
  switch (kind) {
    case 'unary':
      return client.makeUnaryRequest(path, same, same, question, metadata, done);
    case 'server-stream':
      return client.makeServerStreamRequest(path, same, same, question, metadata);
    case 'client-stream': {
      const call = client.makeClientStreamRequest(path, same, same, metadata, done);
      call.on('error', () => {});
      for (const text of ['a', 'b']) call.write(Buffer.from(text));
      call.end();
      return call;
    }
    case 'duplex': {
      const call = client.makeBidiStreamRequest(path, same, same, metadata);
      for (const text of ['a', 'b']) call.write(Buffer.from(text));
      call.end();
      return call;
    }
  }
}

async function both(script: Script, kind: Kind): Promise<readonly [plain: Seen, meshed: Seen]> {
  const name = `s${Object.keys(scripts).length}`;
  scripts[name] = script;
  return Promise.all([see(plain, name, kind), see(meshed, name, kind)]);
}

const one = frame('one');
const ERROR = { 'grpc-status': '5', 'grpc-message': 'no%20such%20thing: %E2%98%BA' };
const BINARY = Buffer.from([1, 2, 255]).toString('base64').replace(/=+$/, '');

const TABLE: Readonly<Record<string, Script>> = {
  'a message and OK': answer({ pieces: [one] }),
  'no message and OK': answer({}),
  'an empty message': answer({ pieces: [frame('')] }),
  'several messages in one piece': answer({ pieces: [Buffer.concat([one, frame(''), frame('two')])] }),
  'a message byte by byte': answer({ pieces: [...one].map((byte) => Buffer.from([byte])) }),
  'trailers only': answerOnly({ ':status': 200, ...ERROR }),
  'trailers only, with metadata': answerOnly({ ':status': 200, ...ERROR, 'x-why': 'because' }),
  'an error after a message': answer({ pieces: [one], trailers: { ...ERROR, 'x-why': 'because' } }),
  'a status that is no number': answer({ pieces: [one], trailers: { 'grpc-status': 'abc' } }),
  'a status that gRPC does not know': answer({ trailers: { 'grpc-status': '99', 'grpc-message': 'odd' } }),
  'a message that is badly encoded': answerOnly({
    ':status': 200,
    'grpc-status': '3',
    'grpc-message': '%zz%',
  }),
  'status details': answerOnly({ ':status': 200, ...ERROR, 'grpc-status-details-bin': BINARY }),
  'binary metadata, some in one line': answer({
    head: { 'x-a-bin': BINARY, 'x-b-bin': `${BINARY},${BINARY}` },
    pieces: [one],
    trailers: { 'grpc-status': '0', 'x-c-bin': BINARY },
  }),
  'a name twice': answer({
    head: { 'x-a': ['1', '2'] },
    trailers: { 'grpc-status': '0', 'x-b': ['1', '2'] },
  }),
  'a status in a head that is not all': answer({ head: { 'grpc-status': '5' }, pieces: [one] }),
  'trailers without a status': answer({ pieces: [one], trailers: { 'x-a': '1' } }),
  'a head without a status that is all': answerOnly({ ':status': 200 }),
  'no trailers': answerOnly({ ':status': 200 }, one),
  'no trailers and no message': answerOnly({ ':status': 200 }, Buffer.alloc(0)),
  'a message that breaks off': answer({ pieces: [one.subarray(0, 6)] }),
  'a message that is too long': answer({ pieces: [frame(Buffer.alloc(100_001))] }),
  'a message that is just short enough': answer({ pieces: [frame(Buffer.alloc(100_000))] }),
  gzip: answer({ head: { 'grpc-encoding': 'gzip' }, pieces: [gzipped('hello')] }),
  deflate: answer({ head: { 'grpc-encoding': 'deflate' }, pieces: [deflated('hello')] }),
  'an encoding that is not used': answer({ head: { 'grpc-encoding': 'gzip' }, pieces: [one] }),
  'compressed and not, in turns': answer({
    head: { 'grpc-encoding': 'gzip' },
    pieces: [gzipped('a'), one, gzipped('b'), frame('c')],
  }),
  'gzip that is none': answer({ head: { 'grpc-encoding': 'gzip' }, pieces: [frame('not gzip', 1)] }),
  'gzip that becomes too long': answer({
    head: { 'grpc-encoding': 'gzip' },
    pieces: [gzipped('x'.repeat(100_001))],
  }),
  ...Object.fromEntries(
    [400, 401, 403, 404, 409, 429, 500, 502, 503, 504].flatMap((status) => [
      [`HTTP ${status}`, answerOnly({ ':status': status, 'content-type': 'text/html' })],
      [`HTTP ${status} with a page`, answerOnly({ ':status': status }, Buffer.from('<html>an error</html>'))],
    ]),
  ),
  'HTTP 503 with a status of gRPC': answerOnly({ ':status': 503, 'grpc-status': '8' }),
  'a page of HTML': answerOnly(
    { ':status': 200, 'content-type': 'text/html' },
    Buffer.from('<html>hello</html>'),
  ),
  ...Object.fromEntries(
    [0, 1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 13].flatMap((code) =>
      (['nothing', 'head', 'message'] as const).map((after) => [
        `RST_STREAM ${code} after ${after}`,
        reset(code, after),
      ]),
    ),
  ),
};

/** What differs on purpose, and what grpc-js leaves to chance. */
function comparable(seen: Seen, title: string): unknown {
  // Its copy of the error has no code in some cases, and no details worth having.
  const { details, messages, ...rest } = seen;
  // grpc-js may drop messages that came right before a reset or an error.
  const isLossy = rest.code !== grpc.status.OK;
  return { ...rest, ...(isLossy ? {} : { messages }), ...(title.startsWith('RST') ? {} : { details }) };
}

describe.each(['unary', 'server-stream', 'duplex', 'client-stream'] as const)('%s', (kind) => {
  const isUnary = kind === 'unary' || kind === 'client-stream';
  // Of several messages to a call that takes one grpc-js reads the first and waits for ever.
  const titles = Object.keys(TABLE).filter((title) => !isUnary || !/several|in turns/.test(title));
  test.each(titles)('%s', async (title) => {
    // The titles are those of the table.
    const [expected, actual] = await both(TABLE[title] as Script, kind);
    expect(comparable(actual, title)).toEqual(comparable(expected, title));
  });
});

test('generated answers in generated pieces are seen alike', async () => {
  const text = fc.string({ maxLength: 40 });
  const key = fc.constantFrom('x-a', 'x-b', 'x-c-bin');
  const metadata = fc.dictionary(key, fc.stringMatching(/^[A-Za-z0-9+/]{4}$/), { maxKeys: 3 });
  const generated = fc.record({
    messages: fc.array(text, { maxLength: 6 }),
    cuts: fc.array(fc.nat(200), { maxLength: 6 }),
    head: metadata,
    tail: metadata,
    isCompressed: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(generated, async ({ messages, cuts, head, tail, isCompressed }) => {
      const bytes = Buffer.concat(messages.map((one) => (isCompressed ? gzipped(one) : frame(one))));
      const described: Answer = {
        head: { ...head, ...(isCompressed && { 'grpc-encoding': 'gzip' }) },
        pieces: cut(bytes, cuts),
        trailers: { ...tail, 'grpc-status': '0' },
      };
      const [expected, actual] = await both(answer(described), 'server-stream');
      expect(actual).toEqual(expected);
      expect(actual.messages).toEqual(messages.map((one) => Buffer.from(one).toString('latin1')));
    }),
    { numRuns: 40 },
  );
});

function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((one) => one % (bytes.byteLength + 1)))].sort((a, b) => a - b);
  return [...at, bytes.byteLength].map((end, i) => bytes.subarray(i === 0 ? 0 : at[i - 1], end));
}
