// Every client that is measured. A variant is a function that joins what it needs and gives the call to repeat.
import { createMesh } from 'inmesh';
import { Agent, fetch, Pool, RetryAgent, request } from 'undici';

/** @typedef {{ controlPlane: string, bare: number, meshed: number, proxy: number, concurrency: number }} World */

const drain = async ({ body }) => {
  await body.dump();
};

const barePool = ({ bare, concurrency }) =>
  new Pool(`http://127.0.0.1:${bare}`, { connections: concurrency });

async function join({ controlPlane }, origin) {
  const mesh = await createMesh({ service: 'bench', cacheDir: false, controlPlane });
  await mesh.ready();
  const { statusCode, body } = await mesh.dispatcher.request({ origin, path: '/', method: 'GET' });
  await body.dump();
  if (statusCode !== 200) throw new Error(`${origin} answered ${statusCode}`);
  return mesh;
}

/** Counts what comes without looking at it: undici's own interface, its cheapest. */
class Sink {
  constructor(resolve, reject) {
    this.onComplete = resolve;
    this.onError = reject;
  }
  onConnect() {}
  onHeaders() {
    return true;
  }
  onData() {
    return true;
  }
}

const dispatched = (dispatcher, options) => () =>
  new Promise((resolve, reject) => {
    dispatcher.dispatch(options, new Sink(resolve, reject));
  });

const GET = { path: '/', method: 'GET' };

export const VARIANTS = {
  'Pool.dispatch': async (world) => dispatched(barePool(world), GET),
  'MeshDispatcher.dispatch': async (world) => {
    const { dispatcher } = await join(world, 'http://echo.bench');
    return dispatched(dispatcher, { ...GET, origin: 'http://echo.bench' });
  },
  'Pool.request': async (world) => {
    const pool = barePool(world);
    return async () => drain(await pool.request(GET));
  },
  'MeshDispatcher.request': async (world) => {
    const { dispatcher } = await join(world, 'http://echo.bench');
    const options = { ...GET, origin: 'http://echo.bench' };
    return async () => drain(await dispatcher.request(options));
  },
  'undici.request(url)': async ({ bare, concurrency }) => {
    const dispatcher = new Agent({ connections: concurrency });
    const url = `http://127.0.0.1:${bare}/`;
    return async () => drain(await request(url, { dispatcher }));
  },
  'undici.request(url), mesh': async (world) => {
    const { dispatcher } = await join(world, 'http://echo.bench');
    return async () => drain(await request('http://echo.bench/', { dispatcher }));
  },
  RetryAgent: async (world) => {
    const agent = new RetryAgent(barePool(world), { maxRetries: 2 });
    return async () => drain(await agent.request(GET));
  },
  'opossum(request)': async (world) => {
    const { default: CircuitBreaker } = await import('opossum');
    const pool = barePool(world);
    const breaker = new CircuitBreaker(async () => drain(await pool.request(GET)), {
      timeout: false,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
    });
    return () => breaker.fire();
  },
  'p-retry(request)': async (world) => {
    const { default: retry } = await import('p-retry');
    const pool = barePool(world);
    const once = async () => drain(await pool.request(GET));
    return () => retry(once, { retries: 2 });
  },
  'cockatiel(retry, breaker, timeout)': async (world) => {
    const { circuitBreaker, ConsecutiveBreaker, handleAll, retry, timeout, TimeoutStrategy, wrap } =
      await import('cockatiel');
    const pool = barePool(world);
    const policy = wrap(
      retry(handleAll, { maxAttempts: 2 }),
      circuitBreaker(handleAll, { halfOpenAfter: 10_000, breaker: new ConsecutiveBreaker(5) }),
      timeout(15_000, TimeoutStrategy.Cooperative),
    );
    return () => policy.execute(async () => drain(await pool.request(GET)));
  },
  'undici.fetch': async ({ bare, concurrency }) => {
    const dispatcher = new Agent({ connections: concurrency });
    const url = `http://127.0.0.1:${bare}/`;
    return async () => {
      await (await fetch(url, { dispatcher })).arrayBuffer();
    };
  },
  'mesh.fetch': async (world) => {
    const mesh = await join(world, 'http://echo.bench');
    return async () => {
      await (await mesh.fetch('http://echo.bench/')).arrayBuffer();
    };
  },
  'Pool.request, mTLS': async (world) => {
    // The same certificates, the same server: only the client differs.
    const mesh = await createMesh({ service: 'bench', cacheDir: false, controlPlane: world.controlPlane });
    await mesh.ready();
    const svid = mesh.identity.svid();
    const bundle = mesh.identity.bundle(svid.id.trustDomain);
    const pool = new Pool(`https://127.0.0.1:${world.meshed}`, {
      connections: world.concurrency,
      connect: {
        key: svid.privateKey.export({ type: 'pkcs8', format: 'pem' }),
        cert: svid.certificatesPem.join(''),
        ca: [...bundle.authorities],
        checkServerIdentity: () => undefined,
        ALPNProtocols: ['istio', 'http/1.1'],
      },
    });
    return async () => drain(await pool.request(GET));
  },
  'MeshDispatcher.request, mTLS': async (world) => {
    const { dispatcher } = await join(world, 'http://secure');
    const options = { ...GET, origin: 'http://secure' };
    return async () => drain(await dispatcher.request(options));
  },
  'two nginx hops, mTLS between': async ({ proxy, concurrency }) => {
    const pool = new Pool(`http://127.0.0.1:${proxy}`, { connections: concurrency });
    return async () => drain(await pool.request(GET));
  },
};
