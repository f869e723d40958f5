// The bookinfo walk: `npm run demo`. Every process is a real one, every connection a real one.
// `--stay` keeps the mesh running afterwards, `--verbose` shows what the processes say.
import { check, eventually, fits, step, summary } from './lib/steps.mjs';
import { countVersions, keepAsking, page, pageFrom, plaintext } from './lib/visitor.mjs';
import { World } from './lib/world.mjs';

const stay = process.argv.includes('--stay');
const verbose = process.argv.includes('--verbose');
const started = performance.now();
const world = new World((line) => verbose && console.log(`      ${line}`));

let failed = true;
try {
  console.log('bookinfo on inmesh: a control plane and six services, each its own process');
  const walk = [start, allToV1, halfAndHalf, canary, byHeader, delay, abort, strict, kill, alone, back];
  for (const walkStep of walk) await walkStep();
  const result = summary();
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`\n${result.passed} ok, ${result.failed} missed, in ${seconds} s`);
  failed = result.failed > 0;
  if (stay) await keepRunning();
} catch (error) {
  console.error(error);
} finally {
  await world.close();
}
process.exit(failed ? 1 : 0);

async function start() {
  step('Start');
  world.config.apply('platform.yaml', 'destination-rules.yaml', 'all-v1.yaml');
  await world.start();
  const answers = await eventually(async () => (await page(world.mesh)).status === 200, 20_000);
  check('productpage answers through the mesh', JSON.stringify((await page(world.mesh)).status), answers);
}

async function allToV1() {
  step('All traffic to v1');
  const counts = await countVersions(world.mesh, 100);
  check('100 of 100 from reviews v1', show(counts), counts.v1 === 100);
}

async function halfAndHalf() {
  step('Half to v1, half to v3');
  await world.apply(['reviews-50-50.yaml'], async () => (await countVersions(world.mesh, 30)).v3 > 0);
  const counts = await countVersions(world.mesh, 400);
  const isAll = sum(counts, 'v1', 'v3') === 400;
  check('400 requests, 200 +- 40 each', show(counts), fits(counts.v3 ?? 0, 400, 0.5) && isAll);
}

async function canary() {
  step('A canary: 90 % to v1, 10 % to v2');
  await world.apply(['reviews-90-10.yaml'], async () => !('v3' in (await countVersions(world.mesh, 30))));
  const counts = await countVersions(world.mesh, 400);
  const isAll = sum(counts, 'v1', 'v2') === 400;
  check('400 requests, 40 +- 24 from v2', show(counts), fits(counts.v2 ?? 0, 400, 0.1) && isAll);
}

async function byHeader() {
  step('The header end-user: jason goes to v2');
  const toV2 = async () => (await countVersions(world.mesh, 20, 'jason')).v2 === 20;
  await world.apply(['reviews-end-user.yaml'], toV2);
  const jason = await countVersions(world.mesh, 50, 'jason');
  const anna = await countVersions(world.mesh, 50, 'anna');
  const ok = jason.v2 === 50 && !('v2' in anna);
  check('50 of 50 of jason from v2, none of anna', `jason ${show(jason)}; anna ${show(anna)}`, ok);
}

async function delay() {
  step('A delay of 7 s on ratings, for jason');
  let jason;
  await world.apply(['ratings-delay.yaml'], async () => {
    jason = await page(world.mesh, 'jason');
    return jason.body.reviews?.stars?.tookMs > 1000;
  });
  const anna = await page(world.mesh, 'anna');
  const [delayedMs, quickMs] = [jason.body.reviews?.stars?.tookMs, anna.body.reviews?.tookMs];
  check(
    'ratings takes 7 s for jason, and is quick for anna',
    `jason ${delayedMs} ms, anna's page ${quickMs} ms`,
    delayedMs >= 7000 && delayedMs < 8000 && quickMs < 1000,
  );
}

async function abort() {
  step('An abort with 500 on ratings, for jason');
  const starsOfJason = async () => (await page(world.mesh, 'jason')).body.reviews?.stars;
  await world.apply(['ratings-abort.yaml'], async () => (await starsOfJason())?.error !== undefined);
  const { status, body } = await page(world.mesh, 'jason');
  const { error } = body.reviews?.stars ?? {};
  check(
    'reviews sees status 500 from ratings, and the page still shows',
    `page ${status}, stars: ${error}`,
    status === 200 && error === 'ratings answered 500',
  );
}

async function strict() {
  step('mTLS STRICT');
  const address = world.addressOf('reviews-v1');
  const before = await plaintext(address);
  const isRefused = async () => (await plaintext(address)).startsWith('refused');
  await world.apply(['destination-rules-mtls.yaml', 'mtls-strict.yaml'], isRefused);
  const after = await plaintext(address);
  check(
    'plaintext to reviews answers before, is refused after',
    `before: ${before}; after: ${after}`,
    before === 'status 200' && after.startsWith('refused'),
  );
  const { body } = await page(world.mesh, 'anna');
  const client = body.reviews?.caller;
  const server = Object.entries(body.peers ?? {}).find(([name]) => name.includes('reviews'))?.[1];
  check(
    'both sides know the other by its SPIFFE ID',
    `reviews was called by ${client}; productpage called ${server}`,
    client === spiffe('productpage') && server === spiffe('reviews'),
  );
}

async function kill() {
  step('Kill one reviews process under traffic');
  const hasThree = async () => Object.keys(await countVersions(world.mesh, 30)).length === 3;
  await world.apply(['reviews-retries.yaml'], hasThree);
  const { pid } = (await pageFrom(world.mesh, 'v3')).body.reviews;
  const traffic = keepAsking(world.mesh, world.log);
  await traffic.reached(50);
  process.kill(pid, 'SIGKILL');
  await traffic.reached(350);
  const result = await traffic.stop();
  check('no request fails, v1 and v2 serve on', tally(result), result.failed === 0);
}

async function alone() {
  step('Control plane gone, and a service restarts');
  await world.killControlPlane();
  const port = Number(world.addressOf('details-v1').split(':')[1]);
  await world.stopService('details-v1');
  await world.startService('details', 'v1', port);
  const isBack = await eventually(async () => (await page(world.mesh)).status === 200);
  const traffic = keepAsking(world.mesh, world.log);
  await traffic.reached(100);
  const result = await traffic.stop();
  const expected = 'details starts from its last known good and serves: 100 requests, 0 failed';
  check(expected, tally(result), isBack && result.failed === 0);
}

async function back() {
  step('Control plane back');
  const traffic = keepAsking(world.mesh, world.log);
  await world.startControlPlane();
  // Five services, as reviews v3 is dead, and the visitor.
  const areBack = await eventually(async () => (await world.connectedClients()) >= 6, 40_000);
  const result = await traffic.stop();
  const observed = `${areBack ? 'all clients connected' : 'clients missing'}; ${tally(result)}`;
  check('every client is back, no request failed meanwhile', observed, areBack && result.failed === 0);
}

/** Leaves the mesh open to plaintext, so that curl works, until it is told to stop. */
async function keepRunning() {
  world.config.remove('PeerAuthentication', 'default');
  console.log(`
running; Ctrl-C ends it
  page     curl -H 'end-user: jason' http://${world.addressOf('productpage-v1')}/productpage
  status   http://${world.addresses.http}/api/status
  config   ${world.config.path} (edit the files there)`);
  await new Promise((resolve) => process.once('SIGINT', resolve));
}

function spiffe(service) {
  return `spiffe://cluster.local/ns/default/sa/bookinfo-${service}`;
}

function show(counts) {
  const entries = Object.entries(counts).sort();
  return entries.map(([version, count]) => `${version} ${count}`).join(', ');
}

function sum(counts, ...versions) {
  return versions.reduce((total, version) => total + (counts[version] ?? 0), 0);
}

function tally({ total, failed: failures }) {
  return `${total} requests, ${failures} failed`;
}
