// Whether requests fail while certificates live for ten seconds, while the root is replaced, and while an identity is
// revoked: a steady rate of requests, each with an id that comes back, sent when it is due whether or not those before
// it were answered. Exit code 1 when one failed, or when whom the mesh revoked was still let in.
//   node bench/rotation.mjs [--rotations 60] [--rps 1000] [--servers 2] [--protocols http1,http2,grpc,tcp] [--life 10]
// The full form takes about six minutes; `--rotations 4` is for trying it.
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createControlPlane } from 'inmesh/control-plane';
import { Member } from './lib/rotation-member.mjs';

const argument = (name) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};
const rotations = Number(argument('rotations') ?? 60);
const rps = Number(argument('rps') ?? 1000);
const servers = Number(argument('servers') ?? 2);
const lifeMs = Number(argument('life') ?? 10) * 1000;
const protocols = (argument('protocols') ?? 'http1,http2,grpc,tcp').split(',');
const PHASES = { rotations: 'rotations', root: 'root replaced', revocation: 'identity revoked' };
/** Requests that run on after an identity was revoked. */
const AFTERMATH_MS = 5_000;
/** A revocation is for seconds: the certificate of who is revoked would have ended by itself. */
const SHUT_OUT_MS = lifeMs / 2;

const folder = mkdtempSync(join(tmpdir(), 'inmesh-rotation-'));
writeFileSync(join(folder, 'mesh.yaml'), documents());
const plane = await createControlPlane({
  config: [join(folder, 'mesh.yaml')],
  dataDir: join(folder, 'data'),
  ports: { xds: 0, secureXds: 0, http: 0 },
  workloadCertificateLifeMs: lifeMs,
  logger: { debug() {}, info() {}, warn() {}, error: (fields, text) => console.error(text, fields) },
});
const { certificateAuthority: authority } = plane;
const world = { controlPlane: plane.addresses.xds, protocols, servers, rps };
const server = await Member.start('server', world);
const { ports } = server.ready;
const client = await Member.start('client', { ...world, ports });
const intruder = await Member.start('intruder', { ...world, ports });
const members = [server, client, intruder];

console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}`);
console.log(
  `${rps} requests per second (${protocols.join(', ')}), mutual TLS, ${servers} servers each, certificates of ${lifeMs / 1000} s\n`,
);
client.send({ phase: PHASES.rotations });
await until('certificates rotate', () => members.every(({ least }) => least >= rotations), {
  timeoutMs: (rotations + 2) * lifeMs,
});
const times = [];
await replaceRoot();
const isShutOut = await revoke();
const { results } = await client.ask({ end: true }, 'results');
const failed = report(results);
for (const member of members) member.kill();
await plane.close();
rmSync(folder, { recursive: true });
process.exit(failed === 0 && isShutOut ? 0 : 1);

/** Prepared and sent to everybody, activated when clients trust it, the old one retired when all have renewed. */
async function replaceRoot() {
  client.send({ phase: PHASES.root });
  const began = Date.now();
  await authority.rotation.begin();
  const old = authority.rootPem();
  await until('the new root signs', () => authority.rootPem() !== old, { timeoutMs: 60_000 });
  const activated = Date.now();
  times.push(['root: from preparing it until it signs', activated - began]);
  const { publicKey } = new X509Certificate(authority.rootPem());
  const hasRenewed = ({ leaves }) => leaves.every((leaf) => new X509Certificate(leaf).verify(publicKey));
  await until('all have renewed', () => members.every(hasRenewed), { timeoutMs: 60_000 });
  const renewed = Math.max(...members.map(({ updatedMs }) => updatedMs));
  times.push(['root: from signing until the last member has a certificate of it', renewed - activated]);
  await until('the old root is retired', () => authority.status().distrusted.length > 0, {
    timeoutMs: 60_000,
  });
  times.push(['root: all of it, until the old one is distrusted', Date.now() - began]);
  await pause(AFTERMATH_MS);
}

/** Takes the identity of the second client back, which has connections open and goes on opening others. */
async function revoke() {
  client.send({ phase: PHASES.revocation });
  await intruder.ask({ arm: true }, 'armed');
  const began = Date.now();
  await authority.revocation.revoke({ kind: 'ids', value: intruder.ready.id, reason: 'bench' });
  const isOut = () => intruder.closedMs !== undefined && intruder.refusedMs !== undefined;
  const wasIn = await until('the revoked identity is shut out', isOut, { timeoutMs: 2 * lifeMs }).then(
    () => false,
    () => true,
  );
  await pause(AFTERMATH_MS);
  const { accepted } = await intruder.ask({ end: true }, 'accepted');
  const { refusedMs = Number.NaN, closedMs = Number.NaN } = intruder;
  times.push(['revocation: until a new connection is refused', refusedMs - began]);
  times.push(['revocation: until the last connection has ended', closedMs - began]);
  const isShutOut =
    !wasIn && accepted === 0 && refusedMs - began < SHUT_OUT_MS && closedMs - began < SHUT_OUT_MS;
  if (!isShutOut)
    console.log(`The revoked identity was let in: ${accepted} connections after the first refusal\n`);
  return isShutOut;
}

/** Prints all tables; the number of requests that failed. */
function report(results) {
  console.log('| while | protocol | requests | failed | retried | p50 ms | p99 ms | most ms |');
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- |');
  let requests = 0;
  let failures = 0;
  for (const { phase, protocol, sent, failed, retried, latencies } of results) {
    const at = (share) => latencies[Math.round((latencies.length - 1) * share)]?.toFixed(1) ?? '-';
    const columns = [phase, protocol, sent, failed, retried, at(0.5), at(0.99), at(1)];
    console.log(`| ${columns.join(' | ')} |`);
    requests += sent;
    failures += failed;
  }
  console.log('\n| | |\n| --- | --- |');
  console.log(`| requests | ${requests} |\n| failed | ${failures} |`);
  for (const { role, least } of members) console.log(`| certificates renewed, ${role} | ${least} |`);
  for (const [what, ms] of times) console.log(`| ${what} | ${(ms / 1000).toFixed(2)} s |`);
  return failures;
}

async function until(what, isSo, { timeoutMs }) {
  const end = Date.now() + timeoutMs;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`not in ${timeoutMs / 1000} s: ${what}`);
    await pause(20);
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function documents() {
  const service = (name) => `---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: default }
spec:
  selector: { app: ${name} }
  ports: [{ name: http, port: 80 }]
`;
  return `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
${service('http1')}${service('http2')}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: http2, namespace: default }
spec:
  host: http2
  trafficPolicy: { connectionPool: { http: { h2UpgradePolicy: UPGRADE } } }
`;
}
