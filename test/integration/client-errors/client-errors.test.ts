import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { messageOf } from '../../../src/runtime/errors.js';
import { type Explanation, explain } from '../../../src/service/explanation.js';
import { type Answer, type Ask, type Client, clientsOn, directWays, meshWays, type Ways } from './clients.js';
import {
  CLIENT_NAMES,
  type ClientName,
  type Failure,
  type Reply,
  SITUATIONS,
  type Situation,
} from './table.js';
import { type Scene, type Stage, startStage } from './world.js';

let stage: Stage;
const direct = directWays();
const uncaught: unknown[] = [];
const note = (error: unknown) => uncaught.push(error);

beforeAll(async () => {
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
  stage = await startStage();
});

afterAll(async () => {
  await direct.close();
  await stage.close();
  process.off('unhandledRejection', note);
  process.off('uncaughtException', note);
});

/** What came of a request. */
type Seen = { readonly answer: Answer } | { readonly error: unknown };

async function send(client: Client, url: string, scene: Scene): Promise<Seen> {
  const controller = new AbortController();
  if (scene.abort === 'before') setTimeout(() => controller.abort(), 30);
  const ask: Ask = {
    url,
    method: scene.brokenBody || scene.largeBody || scene.isGrpc ? 'POST' : 'GET',
    headers: scene.isGrpc === true ? { 'content-type': 'application/grpc' } : {},
    body: scene.brokenBody === true ? failingBody : scene.largeBody === true ? largeBody : undefined,
    signal: controller.signal,
    onHead: () => {
      if (scene.abort === 'during') setTimeout(() => controller.abort(), 10);
    },
  };
  try {
    return { answer: await client(ask) };
  } catch (error) {
    return { error };
  }
}

async function* largeBody(): AsyncGenerator<Buffer> {
  for (let i = 0; i < 20; i++) {
    yield Buffer.alloc(10_000);
    await new Promise(setImmediate);
  }
}

async function* failingBody(): AsyncGenerator<Buffer> {
  yield Buffer.from('a');
  await new Promise((resolve) => setTimeout(resolve, 20));
  throw new Error('no more');
}

/** An error and its causes, as the table writes them. */
function chainOf(error: unknown): string[] {
  const links: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = 'code' in at && at.code !== undefined ? ` ${String(at.code)}` : '';
    links.push(`${at.name}${code}`);
  }
  return links;
}

const KNOWS_ANSWERS: ReadonlySet<ClientName> = new Set(['mesh.fetch', 'undici', 'node:http', 'axios', 'got']);

function expectExplanation(found: Explanation | undefined, { flags, details }: Situation): void {
  expect(found?.flags.join(',')).toBe(flags);
  expect(found?.details.startsWith(details), `${found?.details} begins with ${details}`).toBe(true);
}

function expectReply(name: ClientName, seen: Seen, expected: Reply, situation: Situation): void {
  if (!('answer' in seen)) throw seen.error;
  const { status, headers, body, subject, thrown } = seen.answer;
  expect([status, headers['x-inmesh-reason'], body]).toEqual([
    expected.status,
    expected.reason,
    expected.body,
  ]);
  expect(headers).toMatchObject(expected.headers ?? {});
  if (name === 'axios') expect(chainOf(thrown)).toEqual(status < 300 ? [] : [axiosError(status)]);
  if (name === 'got')
    expect(chainOf(thrown)[0]).toEqual(status < 400 ? undefined : 'HTTPError ERR_NON_2XX_3XX_RESPONSE');
  if (KNOWS_ANSWERS.has(name)) expectExplanation(explain(subject), situation);
}

function axiosError(status: number): string {
  return status >= 400 && status < 500 ? 'AxiosError ERR_BAD_REQUEST' : 'AxiosError ERR_BAD_RESPONSE';
}

/** The chain of errors that a client makes of a failure. */
function expectedChain(
  name: ClientName,
  { undici, http, got, nodeFetch, account, stage: at }: Failure,
): string[] {
  const below = account === undefined || `MeshError ${account}` === undici ? [] : [`MeshError ${account}`];
  const httpBelow = account === undefined ? [] : [`MeshError ${account}`];
  const code = http.split(' ')[1] ?? '';
  switch (name) {
    case 'mesh.fetch':
    case 'fetch':
      return ['TypeError', undici, ...below];
    case 'undici':
      return [undici, ...below];
    case 'node:http':
      return [http, ...httpBelow];
    case 'axios':
      return [http, http, ...httpBelow];
    case 'got':
      // got's ReadError makes its cause itself.
      return at === 'in-answer' && got !== undefined ? [got] : [`RequestError ${code}`, http, ...httpBelow];
    case 'node-fetch':
      return [nodeFetch ?? `FetchError ${code}`];
  }
}

function expectFailure(name: ClientName, seen: Seen, expected: Failure, situation: Situation): void {
  const error = 'error' in seen ? seen.error : (seen.answer.thrown ?? seen.answer);
  const chain = chainOf(error);
  const wanted = expectedChain(name, expected);
  expect(chain.slice(0, wanted.length)).toEqual(wanted);
  if (name === 'mesh.fetch' || name === 'fetch') {
    const message = expected.stage === 'no-answer' ? 'fetch failed' : 'terminated';
    expect((error as Error).message).toBe(message);
  }
  const isWhole = name !== 'node-fetch' && !(name === 'got' && expected.got !== undefined);
  if (expected.says !== undefined && isWhole) expect(textOf(error)).toMatch(expected.says);
  if (name !== 'node-fetch' && situation.details !== '') expectExplanation(explain(error), situation);
}

/** The messages of an error and its causes in one line. */
function textOf(error: unknown): string {
  const messages: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) messages.push(at.message);
  return messages.join(' < ').replace(/\s+/g, ' ');
}

describe.each(SITUATIONS.map((one) => [one.id, one] as const))('%s', (id, situation) => {
  const sceneOf = (): Scene => {
    const scene = stage.scenes.get(id);
    if (scene === undefined) throw new Error(`the stage has no scene ${id}`);
    return scene;
  };

  test.each(CLIENT_NAMES)('%s', async (name) => {
    const scene = sceneOf();
    const ways = meshWays({ core: scene.core });
    const seen = await send(clientsOn(ways)[name], scene.url, scene);
    const { outcome } = situation;
    if (outcome.kind === 'reply') expectReply(name, seen, outcome, situation);
    else if (outcome.kind === 'failure') expectFailure(name, seen, outcome, situation);
    else
      expect(chainOf('error' in seen ? seen.error : undefined).join(' < ')).toMatch(
        exactly(outcome.says[name]),
      );
    await settled(ways);
    await expect.poll(() => stage.activeRequests()).toBe(0);
  });

  test.each(CLIENT_NAMES)('%s says the same without the mesh', async (name) => {
    const scene = sceneOf();
    // Two of the clients have another function for https.
    const isOther =
      scene.direct?.startsWith('https:') === true && (name === 'node:http' || name === 'node-fetch');
    if (scene.direct === undefined || isOther) return;
    const seen = await send(clientsOn(direct)[name], scene.direct, scene);
    const plain = chainOf('error' in seen ? seen.error : seen.answer.thrown);
    const ways = meshWays({ core: scene.core });
    const through = await send(clientsOn(ways)[name], scene.url, scene);
    const meshed = chainOf('error' in through ? through.error : through.answer.thrown);
    expect(meshed.slice(0, plain.length)).toEqual(plain);
    expect(plain.length).toBeGreaterThan(0);
    await settled(ways);
  });
});

/** The caller's reason may be the cause of what a client makes of it. */
function exactly(text: string): RegExp {
  return new RegExp(`^${text.replaceAll(/[.*+?^$()|[\]{}\\]/g, '\\$&')}( < AbortError 20)?$`);
}

/** No socket is left that carries a request. */
async function settled({ agent, close }: Ways): Promise<void> {
  await expect.poll(() => Object.keys(agent.sockets)).toEqual([]);
  await close();
}

test('nothing was left to the process', () => {
  expect(uncaught.map((one) => messageOf(one))).toEqual([]);
});

test('requests that wait for one connection have errors of their own', async () => {
  const scene = stage.scenes.get('connect-timeout');
  if (scene === undefined) throw new Error('no scene');
  const ways = meshWays({ core: scene.core });
  const { undici } = clientsOn(ways);
  const seen = await Promise.all(['a', 'b', 'c'].map((path) => send(undici, `${scene.url}${path}`, scene)));
  expect(seen.map((one) => ('error' in one ? explain(one.error)?.path : one))).toEqual(['/a', '/b', '/c']);
  await ways.close();
});
