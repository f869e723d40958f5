// The bookinfo walk: `npm run demo`. Every process is a real one, every connection a real one.
// `--stay` keeps the mesh running afterwards.
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMesh } from 'inmesh';
import { ConfigFolder } from './lib/config.mjs';
import { inmesh, stop, stopAll } from './lib/processes.mjs';
import { check, eventually, fits, step, summary } from './lib/steps.mjs';

const stay = process.argv.includes('--stay');
const verbose = process.argv.includes('--verbose');
const started = performance.now();
const cacheDir = mkdtempSync(join(tmpdir(), 'inmesh-cache-'));
const config = new ConfigFolder();
const log = (line) => verbose && console.log(`      ${line}`);

const SERVICES = [
  ['details', 'v1'],
  ['ratings', 'v1'],
  ['reviews', 'v1'],
  ['reviews', 'v2'],
  ['reviews', 'v3'],
  ['productpage', 'v1'],
];

let failed = true;
try {
  await walk();
  const result = summary();
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`\n${result.passed} ok, ${result.failed} missed, in ${seconds} s`);
  failed = result.failed > 0;
  if (stay) await keepRunning();
} catch (error) {
  console.error(error);
} finally {
  await stopAll();
  config.close();
  rmSync(cacheDir, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

async function walk() {
  console.log('bookinfo on inmesh: a control plane and six services, each its own process');
  step('Start');
  config.apply('platform.yaml', 'destination-rules.yaml', 'all-v1.yaml');
  let plane = await startControlPlane({ xds: 0, secure: 0, http: 0 });
  const addresses = plane.value;
  const running = new Map();
  await Promise.all(
    SERVICES.map(async ([service, version]) => {
      running.set(`${service}-${version}`, await startService(service, version, addresses.xds));
    }),
  );
  // The walk's own requests come from a member of the mesh, too.
  const mesh = await createMesh({
    service: 'visitor',
    controlPlane: addresses.xds,
    cacheDir: join(cacheDir, 'visitor'),
  });
  const registered = await eventually(async () => (await page(mesh)).status === 200, 20_000);
  check(
    'productpage answers through the mesh',
    registered ? 'status 200' : JSON.stringify(await page(mesh)),
    registered,
  );

  step('All traffic to v1');
  const toV1 = await countVersions(mesh, 100);
  check('100 of 100 from reviews v1', show(toV1), toV1.v1 === 100);

  step('Half to v1, half to v3');
  await applyAndWait(mesh, ['reviews-50-50.yaml'], async () => (await countVersions(mesh, 30)).v3 > 0);
  const halves = await countVersions(mesh, 400);
  check(
    '400 requests, 200 +- 40 each',
    show(halves),
    fits(halves.v3 ?? 0, 400, 0.5) && total(halves, 'v1', 'v3') === 400,
  );

  step('A canary: 90 % to v1, 10 % to v2');
  await applyAndWait(
    mesh,
    ['reviews-90-10.yaml'],
    async () => (await countVersions(mesh, 30)).v3 === undefined,
  );
  const canary = await countVersions(mesh, 400);
  check(
    '400 requests, 40 +- 24 from v2',
    show(canary),
    fits(canary.v2 ?? 0, 400, 0.1) && total(canary, 'v1', 'v2') === 400,
  );

  step('The header end-user: jason goes to v2');
  await applyAndWait(
    mesh,
    ['reviews-end-user.yaml'],
    async () => (await countVersions(mesh, 20, 'jason')).v2 === 20,
  );
  const [jason, others] = [await countVersions(mesh, 50, 'jason'), await countVersions(mesh, 50, 'anna')];
  const everybodyElse = Object.keys(others).every((version) => version !== 'v2');
  check(
    '50 of 50 of jason from v2, none of the others',
    `jason ${show(jason)}; anna ${show(others)}`,
    jason.v2 === 50 && everybodyElse,
  );

  step('A delay of 7 s on ratings, for jason');
  let delayed;
  await applyAndWait(mesh, ['ratings-delay.yaml'], async () => {
    delayed = await page(mesh, 'jason');
    return delayed.body.reviews?.stars?.tookMs > 1000;
  });
  const others7 = await page(mesh, 'anna');
  const delayMs = delayed.body.reviews?.stars?.tookMs ?? 0;
  check(
    'ratings takes 7 s for jason, and is quick for anna',
    `jason ${delayMs} ms, anna's page ${others7.body.reviews?.tookMs} ms`,
    delayMs >= 7000 && delayMs < 8000 && others7.body.reviews?.tookMs < 1000,
  );

  step('An abort with 500 on ratings, for jason');
  await applyAndWait(
    mesh,
    ['ratings-abort.yaml'],
    async () => (await page(mesh, 'jason')).body.reviews?.stars?.error !== undefined,
  );
  const aborted = await page(mesh, 'jason');
  check(
    'reviews sees status 500 from ratings, and the page still shows',
    `page ${aborted.status}, stars: ${aborted.body.reviews?.stars?.error}`,
    aborted.status === 200 && aborted.body.reviews?.stars?.error === 'ratings answered 500',
  );

  step('mTLS STRICT');
  const reviewsAddress = running.get('reviews-v1').value;
  const before = await plaintext(reviewsAddress);
  await applyAndWait(mesh, ['destination-rules-mtls.yaml', 'mtls-strict.yaml'], async () =>
    (await plaintext(reviewsAddress)).startsWith('refused'),
  );
  const after = await plaintext(reviewsAddress);
  check(
    'plaintext to reviews answers before, is refused after',
    `before: ${before}; after: ${after}`,
    before === 'status 200' && after.startsWith('refused'),
  );
  const secured = await page(mesh, 'anna');
  const client = secured.body.reviews?.caller;
  const server = Object.entries(secured.body.peers ?? {}).find(([name]) => name.includes('reviews'))?.[1];
  check(
    'both sides know the other by its SPIFFE ID',
    `reviews was called by ${client}; productpage called ${server}`,
    client === spiffe('productpage') && server === spiffe('reviews'),
  );

  step('Kill one reviews process under traffic');
  await applyAndWait(
    mesh,
    ['reviews-retries.yaml'],
    async () => Object.keys(await countVersions(mesh, 30)).length === 3,
  );
  const traffic = keepAsking(mesh);
  await traffic.reached(50);
  const victim = running.get('reviews-v3');
  const { pid } = (await pageFrom(mesh, 'v3')).body.reviews;
  process.kill(pid, 'SIGKILL');
  await traffic.reached(350);
  const survived = await traffic.stop();
  await stop(victim);
  check(
    'no request fails, v1 and v2 serve on',
    `${survived.total} requests, ${survived.failed} failed`,
    survived.failed === 0,
  );

  step('Control plane gone, and a service restarts');
  await stop(plane, 'SIGKILL');
  const port = Number(running.get('details-v1').value.split(':')[1]);
  const withoutPlane = keepAsking(mesh);
  await stop(running.get('details-v1'));
  running.set('details-v1', await startService('details', 'v1', addresses.xds, port));
  const back = await eventually(async () => (await page(mesh)).status === 200);
  await withoutPlane.stop();
  const alone = keepAsking(mesh);
  await alone.reached(100);
  const served = await alone.stop();
  check(
    'details starts from its last known good and serves: 100 requests, 0 failed',
    `${served.total} requests, ${served.failed} failed`,
    back && served.failed === 0,
  );

  step('Control plane back');
  const [xds, secure, httpPort] = [addresses.xds, addresses.secureXds, addresses.http].map((one) =>
    Number(one.split(':')[1]),
  );
  const returning = keepAsking(mesh);
  plane = await startControlPlane({ xds, secure, http: httpPort });
  const resynced = await eventually(() => allConnected(addresses.http), 40_000);
  const onReturn = await returning.stop();
  check(
    'every client is back, no request failed meanwhile',
    `${resynced ? 'all clients connected' : 'clients missing'}; ${onReturn.total} requests, ${onReturn.failed} failed`,
    resynced && onReturn.failed === 0,
  );
  if (!stay) await mesh.close();
  else
    console.log(
      `\nstatus   http://${addresses.http}/api/status\nconfig   ${config.path} (edit the files there)`,
    );
}

function startControlPlane({ xds, secure, http: httpPort }) {
  const ports = ['--port', xds, '--secure-port', secure, '--http-port', httpPort].map(String);
  const args = [
    'dev',
    '--config',
    config.path,
    '--data',
    join(cacheDir, 'control-plane'),
    ...ports,
    '-o',
    'json',
  ];
  return inmesh(args, (line) => (line.startsWith('{') ? JSON.parse(line) : undefined), log);
}

function startService(service, version, xds, port = 0) {
  const name = `${service}-${version}`;
  process.env.PORT = String(port);
  const program = new URL(`services/${service}.mjs`, import.meta.url).pathname;
  const args = ['run', '-s', service, '-V', version, '--service-account', `bookinfo-${service}`];
  const where = ['--control-plane', xds, '--cache-dir', join(cacheDir, name)];
  return inmesh(
    [...args, ...where, '--', process.execPath, program],
    (line) => /listening (\S+)$/.exec(line)?.[1],
    log,
  );
}

/** One page: its status and its content. */
async function page(mesh, user) {
  try {
    const headers = user === undefined ? {} : { 'end-user': user };
    const response = await mesh.fetch('http://productpage:9080/productpage', { headers });
    const text = await response.text();
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : { text } };
  } catch (error) {
    return { status: 0, body: { error: String(error.cause ?? error) } };
  }
}

async function pageFrom(mesh, version) {
  for (;;) {
    const one = await page(mesh);
    if (one.body.reviews?.version === version) return one;
  }
}

async function countVersions(mesh, requests, user) {
  const counts = {};
  for (let left = requests; left > 0; left -= 5) {
    const pages = await Promise.all(Array.from({ length: Math.min(5, left) }, () => page(mesh, user)));
    for (const { body } of pages) {
      const version = body.reviews?.version ?? 'failed';
      counts[version] = (counts[version] ?? 0) + 1;
    }
  }
  return counts;
}

function keepAsking(mesh) {
  const counts = { total: 0, failed: 0 };
  let going = true;
  const one = async () => {
    while (going) {
      const { status, body } = await page(mesh);
      counts.total++;
      if (status !== 200) {
        counts.failed++;
        log(JSON.stringify(body));
      }
    }
  };
  const loops = [one(), one(), one(), one()];
  return {
    reached: (wanted) => eventually(() => counts.total >= wanted, 30_000),
    stop: async () => {
      going = false;
      await Promise.all(loops);
      return counts;
    },
  };
}

async function applyAndWait(_mesh, names, condition) {
  config.apply(...names);
  if (!(await eventually(condition, 15_000))) console.log(`    (${names} is not in force after 15 s)`);
}

/** A call without mTLS, straight to the port. */
function plaintext(address) {
  return new Promise((resolve) => {
    http
      .get(`http://${address}/reviews/0`, { agent: false }, (response) => {
        response.resume();
        resolve(`status ${response.statusCode}`);
      })
      .on('error', (error) => resolve(`refused (${error.code ?? error.message})`));
  });
}

async function status(address) {
  const response = await fetch(`http://${address}/api/status`);
  return response.json();
}

async function allConnected(address) {
  try {
    const { clients } = await status(address);
    // Five services (reviews v3 is dead) and the visitor.
    return clients.length >= SERVICES.length;
  } catch {
    return false;
  }
}

async function keepRunning() {
  console.log('running; Ctrl-C ends it');
  await new Promise((resolve) => process.once('SIGINT', resolve));
}

function spiffe(service) {
  return `spiffe://cluster.local/ns/default/sa/bookinfo-${service}`;
}

function show(counts) {
  return Object.entries(counts)
    .sort()
    .map(([version, count]) => `${version} ${count}`)
    .join(', ');
}

function total(counts, ...versions) {
  return versions.reduce((sum, version) => sum + (counts[version] ?? 0), 0);
}
