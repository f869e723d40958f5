import { afterAll, beforeAll, expect } from 'vitest';
import { type Answer, type MeshServer, startMeshServer } from './mesh-server.js';
import { hasVectors, vectorJson, vectorSuite } from './score.js';

interface HeaderCase {
  readonly name: string;
  readonly value: string;
  readonly expect: string;
  readonly why: string;
}

const FILE = 'http/headers.json';
const cases = (vectorJson(FILE) as { cases: readonly HeaderCase[] } | undefined)?.cases ?? [];

let server: MeshServer;
let guarded: MeshServer;

/** Nobody with a role that is denied gets in. */
const POLICY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: roles}
spec:
  action: DENY
  rules: [{when: [{key: "request.headers[x-role]", values: [admin]}]}]
`;

beforeAll(async () => {
  if (!hasVectors) return;
  server = await startMeshServer();
  guarded = await startMeshServer({}, POLICY);
});

afterAll(async () => {
  if (!hasVectors) return;
  await server.close();
  await guarded.close();
});

const isBody = (name: string) => /^(?:content-length|transfer-encoding)$/i.test(name);

function overHttp1(one: HeaderCase): Promise<Answer> {
  const method = isBody(one.name) ? 'POST' : 'GET';
  const host = /^host$/i.test(one.name) ? '' : 'Host: web\r\n';
  return server.http1(`${method} / HTTP/1.1\r\n${host}Connection: close\r\n${one.name}: ${one.value}\r\n\r\n${isBody(one.name) ? 'hello' : ''}`);
}

/** Names and values that HTTP/2 has another place for. */
function overHttp2({ name, value }: HeaderCase, to = server): Promise<Answer> {
  const field = name.toLowerCase() === 'host' ? ':authority' : name.toLowerCase();
  return to.http2({ ':path': '/', ':method': isBody(name) ? 'POST' : 'GET', [field]: value });
}

vectorSuite({
  file: FILE,
  cases,
  title: ({ name, value, why }) => `${JSON.stringify(name)}: ${JSON.stringify(value)} (${why})`,
  async run(one) {
    switch (one.expect) {
      case 'reject': {
        const before = server.requests();
        // Node's client of HTTP/2 leaves out a header without a name.
        const answers = [await overHttp1(one), ...(one.name === '' ? [] : [await overHttp2(one)])];
        // What can't be understood is refused or cut off, and the application never hears of it.
        expect(server.requests()).toBe(before);
        for (const { status } of answers) expect(status === 0 || (status >= 400 && status < 500)).toBe(true);
        return;
      }
      case 'reject-h2':
        expect((await overHttp2(one)).seen).toBeUndefined();
        return;
      case 'ignore': {
        const head = `GET / HTTP/1.1\r\nHost: web\r\nConnection: Upgrade, HTTP2-Settings, close\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n`;
        const answer = await server.http1(`${head}${one.name}: ${one.value}\r\n\r\n`);
        expect([answer.status, answer.seen?.url]).toEqual([200, '/']);
        return;
      }
      case 'strip': {
        const answers = [await overHttp1(one), await overHttp2(one)];
        for (const { seen } of answers) expect(seen && Object.hasOwn(seen.headers, one.name)).toBe(false);
        return;
      }
      case 'no-pollution': {
        const answers = [await overHttp1(one), await overHttp2(one)];
        expect(answers.map(({ status }) => status === 200 || status === 400)).toEqual([true, true]);
        expect(({} as Record<string, unknown>)[one.value]).toBeUndefined();
        expect(Object.getPrototypeOf({})).toBe(Object.prototype);
        return;
      }
      case 'policy': {
        // However the values are spread over lines, and wherever the forbidden one stands.
        const values = one.value.split(', ');
        const lines = [...values, ...values.toReversed()].map((value) => `${one.name}: ${value}\r\n`).join('');
        const spread = await guarded.http1(`GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n${lines}\r\n`);
        const alone = await guarded.http1(
          `GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n${one.name}: ${values.at(-1)}\r\n\r\n`,
        );
        const first = await overHttp2({ ...one, value: values[0] ?? '' }, guarded);
        expect([spread.status, alone.status, first.status]).toEqual([403, 200, 403]);
        return;
      }
      default:
        throw new Error(`unknown verdict ${one.expect}`);
    }
  },
});
