import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
const root = process.argv[2];
import tls from 'node:tls'; import { syncBuiltinESMExports } from 'node:module';
let dials = 0; const orig = tls.connect; tls.connect = (...a) => { dials++; return orig(...a); }; syncBuiltinESMExports();

const { createControlPlane } = await import(root + '/dist/control-plane.js');
const { createMesh } = await import(root + '/dist/index.js');
const t0 = performance.now();
const log = (...a) => console.log(Math.round(performance.now() - t0), ...a);
const logger = { debug() {}, info() {}, warn(...a) { log('warn', ...a) }, error(...a) { log('error', ...a) } };
const plane = await createControlPlane({ ports: { xds: 0, secureXds: 0, http: 0 }, logger });
log('plane');
writeFileSync('/tmp/xsvc.mjs', `
import { createServer } from 'node:http';
import { createMesh } from '${root}/dist/index.js';
const mesh = await createMesh();
const server = createServer((request, response) => {
  const delayMs = Number(new URL(request.url, 'http://x').searchParams.get('ms') ?? 0);
  setTimeout(() => response.end(process.env.INMESH_VERSION), delayMs);
});
await mesh.listen(server);
process.once('SIGTERM', async () => { console.log('term'); await mesh.close(); console.log('closed'); });
console.log('ready');`);
const start = async (v) => {
  const child = spawn(process.execPath, ['/tmp/xsvc.mjs'], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, INMESH_CACHE_DIR: 'off', INMESH_LOG_LEVEL: 'silent', INMESH_CONTROL_PLANE: plane.addresses.xds, INMESH_SERVICE: 'echo', INMESH_VERSION: v } });
  child.stdout.on('data', (d) => log(v, String(d).trim()));
  child.on('close', (c) => log(v, 'exit', c));
  await once(child.stdout, 'data');
  return child;
};
const a = await start('v1'), b = await start('v2');
const client = await createMesh({ service: 'client', controlPlane: plane.addresses.xds, cacheDir: false, logger });
log('joined');
const seen = new Set();
while (seen.size < 2) { const r = await client.fetch('http://echo/').catch((e) => log('err', e.cause?.message)); if (r?.status === 200) seen.add(await r.text()); else await new Promise((f) => setTimeout(f, 20)); }
log('both');
const running = new Set(); let fails = 0, total = 0, stopped = false;
const load = (url, rps) => { let sent = 0; const b = performance.now(); const t = setInterval(() => { const due = Math.floor((performance.now() - b) / 1000 * rps); for (; sent < due; sent++) { total++; const p = client.fetch(url).then((r) => r.text()).catch((e) => { fails++; if (fails < 4) log('FAIL', e.cause?.message) }).finally(() => running.delete(p)); running.add(p); } }, 5); return t; };
const t1 = load('http://echo/', 150), t2 = load('http://echo/?ms=500', 40);
const mon = setInterval(() => log('cpu', Math.round(process.cpuUsage().user / 1000), 'dials', dials, 'sent', total, 'running', running.size, 'fails', fails), 1000);
await new Promise((f) => setTimeout(f, 1000));
log('kill'); a.kill('SIGTERM');
while (plane.status().workloads !== 1 + 0 && plane.status().workloads > 1) await new Promise((f) => setTimeout(f, 20));
log('left', plane.status().workloads);
await once(a, 'close');
await new Promise((f) => setTimeout(f, 1000));
clearInterval(t1); clearInterval(t2); log('stop load');
await Promise.all(running); clearInterval(mon);
log('all', total, fails, dials, Math.round(process.cpuUsage().user / 1000));
await client.close(); log('client closed');
b.kill('SIGKILL'); await plane.close(); log('closed');
