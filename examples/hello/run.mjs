// Runs the README's quick start by itself: a control plane, two versions of `hello`, `web` that calls it, and a client.
// Exits with 0 when all ten answers of the client are right.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const children = [];

/** Starts `inmesh …`; what it prints goes to this process's stderr, the first line of stdout is returned. */
function inmesh(...args) {
  const child = spawn(process.execPath, [here('../../dist/bin.js'), ...args], {
    env: { ...process.env, INMESH_CACHE_DIR: 'off' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  return child;
}

const plane = inmesh(
  ...['dev', '--config', here('mesh.yaml'), '-o', 'json'],
  ...['--port', '0', '--secure-port', '0', '--http-port', '0'],
);
const [line] = await once(plane.stdout, 'data');
const { xds } = JSON.parse(line);
const run = (service, version, program) =>
  inmesh(
    ...['run', '-s', service, '-V', version, '--service-account', service, '--control-plane', xds],
    ...['--', process.execPath, here(program)],
  );
run('hello', 'v1', 'hello.mjs');
run('hello', 'v2', 'hello.mjs');
run('web', 'v1', 'web.mjs');

/** The client's output; whole answers of all ten requests look like `200 web got 200: hello v1, called by …`. */
async function answers() {
  const client = run('client', 'v1', 'client.mjs');
  let text = '';
  client.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await once(client, 'close');
  return text
    .split('\n')
    .filter((one) => /200 web got 200: hello v[12], called by spiffe:.*\/sa\/web/.test(one));
}

// The services join while we ask; ten whole answers mean that all of them are there.
const until = performance.now() + 30_000;
let good = [];
while (good.length < 10 && performance.now() < until) good = await answers();
console.log(good.join('\n'));
// The control plane goes last, so that the services leave it in order.
for (const child of children.reverse()) {
  if (child.exitCode !== null || child.signalCode !== null) continue;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
process.exit(good.length === 10 ? 0 : 1);
