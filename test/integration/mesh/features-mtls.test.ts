import { Agent, type RequestListener, request } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { main } from '../../../src/cli/main.js';
import type { Mesh } from '../../../src/index.js';
import { answerOf, istio, service, World } from './features-world.js';
import { eventually, type Member } from './support.js';

let world: World;

afterEach(() => world.close());

const ROOT = 'istio-system';
const authentication = (name: string, namespace: string, spec: string) =>
  istio('PeerAuthentication', name, spec, namespace);
const STRICT = authentication('default', ROOT, 'mtls: { mode: STRICT }');

/** Answers with how the request came: the caller's SPIFFE ID, or `plaintext`. */
const whoami: RequestListener = (incoming, response) => {
  const certificate = String(incoming.headers['x-forwarded-client-cert'] ?? '');
  response.end(/URI=(\S+)$/.exec(certificate)?.[1] ?? 'plaintext');
};

const CLIENT = 'spiffe://cluster.local/ns/default/sa/default';

/** What a client outside of the mesh gets. */
async function plainly({ port }: Member): Promise<string> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
    return await response.text();
  } catch {
    return 'refused';
  }
}

const meshed = async (client: Mesh, host: string): Promise<string> => {
  try {
    const [, body] = await answerOf(client.fetch(`http://${host}/`));
    return body;
  } catch {
    return 'refused';
  }
};

describe('PeerAuthentication', () => {
  test('without any: mTLS from the mesh, plaintext from elsewhere', async () => {
    world = await World.start('');
    const member = await world.serve({ service: 'echo' }, whoami);
    const client = await world.join();
    expect(await meshed(client, 'echo')).toBe(CLIENT);
    expect(await plainly(member)).toBe('plaintext');
  });

  test('STRICT for the mesh refuses plaintext everywhere', async () => {
    world = await World.start(STRICT);
    const member = await world.serve({ service: 'echo' }, whoami);
    const other = await world.serve({ service: 'echo', namespace: 'other' }, whoami);
    const client = await world.join();
    expect(await meshed(client, 'echo')).toBe(CLIENT);
    expect([await plainly(member), await plainly(other)]).toEqual(['refused', 'refused']);
  });

  test('the narrowest that says something decides: namespace over mesh, workload over namespace, port over all', async () => {
    world = await World.start(
      STRICT +
        service('closed') +
        service('legacy', 80, 'old') +
        service('plain', 80, 'old') +
        service('ports', 80, 'old') +
        authentication('default', 'old', 'mtls: { mode: PERMISSIVE }') +
        authentication('plain', 'old', 'selector: { matchLabels: { app: plain } }\nmtls: { mode: DISABLE }'),
    );
    const closed = await world.serve({ service: 'closed' }, whoami);
    const legacy = await world.serve({ service: 'legacy', namespace: 'old' }, whoami);
    const plain = await world.serve({ service: 'plain', namespace: 'old' }, whoami);
    const client = await world.join();
    expect([await plainly(closed), await plainly(legacy), await plainly(plain)]).toEqual([
      'refused',
      'plaintext',
      'plaintext',
    ]);
    // The mesh's own clients follow: mTLS where it is taken, plaintext where it is not.
    expect([
      await meshed(client, 'closed'),
      await meshed(client, 'legacy.old'),
      await meshed(client, 'plain.old'),
    ]).toEqual([CLIENT, CLIENT, 'plaintext']);
  });

  test('portLevelMtls holds for its port only', async () => {
    world = await World.start('');
    const open = await world.serve({ service: 'echo', version: 'open' }, whoami);
    const other = await world.serve({ service: 'echo', version: 'other' }, whoami);
    world.configure(
      authentication(
        'echo',
        'default',
        `selector: { matchLabels: { app: echo } }
mtls: { mode: STRICT }
portLevelMtls: { ${open.port}: { mode: DISABLE } }`,
      ),
    );
    await eventually('the other port is closed', async () => (await plainly(other)) === 'refused');
    expect(await plainly(open)).toBe('plaintext');
    const client = await world.join();
    const seen = new Set<string>();
    for (let i = 0; i < 20; i++) seen.add(await meshed(client, 'echo'));
    expect(seen).toEqual(new Set(['plaintext', CLIENT]));
  });

  test('a plaintext connection that stands is closed when STRICT arrives, after what runs on it', async () => {
    world = await World.start('');
    const waiting: (() => void)[] = [];
    const member = await world.serve({ service: 'echo' }, (incoming, response) => {
      if (incoming.url === '/slow') waiting.push(() => response.end('slow'));
      else whoami(incoming, response);
    });
    const agent = new Agent({ keepAlive: true });
    world.onClose(async () => agent.destroy());
    const idle = await keepOpen(member.port, '/', agent);
    expect(idle.body).toBe('plaintext');
    const busy = keepOpen(member.port, '/slow', new Agent({ keepAlive: true }));
    await eventually('it runs', () => waiting.length === 1);
    world.configure(STRICT);
    await idle.closed;
    for (const end of waiting) end();
    const { body, closed } = await busy;
    expect(body).toBe('slow');
    await closed;
    expect(await plainly(member)).toBe('refused');
    world.configure('');
    await eventually('plaintext is taken again', async () => (await plainly(member)) === 'plaintext');
  });
});

describe('auto-mTLS', () => {
  test('endpoints of one service get mTLS or plaintext as each can', async () => {
    world = await World.start('');
    const { port } = await world.serveOutside((_incoming, response) => response.end('outside'));
    world.configure(
      service('echo') +
        istio('WorkloadEntry', 'vm', `address: 127.0.0.1\nports: { http: ${port} }\nlabels: { app: echo }`) +
        istio(
          'DestinationRule',
          'echo',
          'host: echo\ntrafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }',
        ),
    );
    await world.serve({ service: 'echo' }, whoami);
    const client = await world.join();
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await meshed(client, 'echo'));
    expect(answers.sort()).toEqual(['outside', 'outside', CLIENT, CLIENT].sort());
  });

  test('tls mode DISABLE sends plaintext, which STRICT refuses', async () => {
    const rule = istio('DestinationRule', 'echo', 'host: echo\ntrafficPolicy: { tls: { mode: DISABLE } }');
    world = await World.start(rule);
    await world.serve({ service: 'echo' }, whoami);
    const client = await world.join();
    expect(await meshed(client, 'echo')).toBe('plaintext');
    world.configure(rule + STRICT);
    await eventually('STRICT holds', async () => (await meshed(client, 'echo')) === 'refused');
  });

  test('tls mode ISTIO_MUTUAL with names that the server does not have fails', async () => {
    world = await World.start(
      istio(
        'DestinationRule',
        'echo',
        `host: echo
trafficPolicy:
  tls: { mode: ISTIO_MUTUAL, subjectAltNames: ["spiffe://cluster.local/ns/default/sa/somebody-else"] }`,
      ),
    );
    await world.serve({ service: 'echo' }, whoami);
    const client = await world.join();
    const failure = await client.fetch('http://echo/').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TypeError);
    expect(failure).toMatchObject({ cause: { code: 'INMESH_PEER_IDENTITY' } });
  });

  test('each service account is its own identity', async () => {
    world = await World.start(STRICT);
    await world.serve({ service: 'echo', serviceAccount: 'echo-account' }, whoami);
    const client = await world.join({ serviceAccount: 'web', namespace: 'shop' });
    expect(await meshed(client, 'echo.default')).toBe('spiffe://cluster.local/ns/shop/sa/web');
    expect(client.identity.svid()?.id.toString()).toBe('spiffe://cluster.local/ns/shop/sa/web');
  });
});

interface Kept {
  readonly body: string;
  /** Settles when the connection is closed. */
  readonly closed: Promise<void>;
}

/** One request on a connection that is kept. */
function keepOpen(port: number, path: string, agent: Agent): Promise<Kept> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, agent }, (response) => {
      let body = '';
      const { socket } = response;
      const closed = new Promise<void>((done) => {
        if (socket.destroyed) done();
        else socket.once('close', () => done());
      });
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ body, closed }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('who would break', () => {
  /** What the command line prints, and its exit code. */
  async function cli(command: string) {
    let text = '';
    const output = {
      color: false,
      out: (part: string) => (text += part),
      err: (part: string) => (text += part),
    };
    const code = await main(['mtls', command, '--control-plane', world.plane.addresses.http], output);
    return { code, text };
  }

  test('callers without TLS are reported by the server, and keep a check from passing', async () => {
    world = await World.start('');
    const member = await world.serve({ service: 'echo', version: 'v1' }, whoami);
    const client = await world.join({ service: 'web' });
    expect(await meshed(client, 'echo')).toBe(CLIENT);
    expect((await cli('check')).code).toBe(0);

    expect(await plainly(member)).toBe('plaintext');
    await eventually('the report names the caller', () => world.plane.mtls().obstacles > 0);
    const [echo] = world.plane.mtls().workloads;
    expect(echo).toMatchObject({ service: 'echo', mode: 'PERMISSIVE', isReadyForStrict: false });
    expect(echo?.plaintext).toMatchObject([{ source: '127.0.0.1', connections: 1, refused: 0 }]);
    const { code, text } = await cli('check');
    expect(code).toBe(1);
    expect(text).toMatch(
      /echo\.default 127\.0\.0\.1:\d+ is called without TLS by 127\.0\.0\.1: 1 connections, last at/,
    );
    expect((await cli('report')).code).toBe(0);
    expect((await cli('report')).text).toContain(`PERMISSIVE  ${CLIENT}`);
    // What is served stays registered while its node tells of callers.
    expect(await meshed(client, 'echo')).toBe(CLIENT);
  });
});
