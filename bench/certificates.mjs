// How many certificates the authority issues and a workload verifies a second, on one core, against what node:crypto
// needs for the keys and signatures alone.
//   node bench/certificates.mjs [--seconds 2]
import { generateKeyPairSync, sign, verify, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createX509Bundle, verifyPeer } from 'inmesh/identity';
import { createTestCa } from 'inmesh/testing';

const at = process.argv.indexOf('--seconds');
const seconds = at < 0 ? 2 : Number(process.argv[at + 1]);
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

const ca = await createTestCa();
const id = ca.id('reviews');
const { csrPem } = await ca.csr('reviews');
const { der } = ca.certificate('reviews', {});
const bundle = createX509Bundle(ca.trustDomain, ca.authority.rootPem());
const nowMs = Date.now();

console.log(
  `inmesh ${version}, Node ${process.version}, ${seconds} s each\n\n| operation | per second and core | CPU us each |\n| --- | --- | --- |`,
);
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const bytes = Buffer.alloc(400, 1);
const signature = sign('sha256', bytes, pair.privateKey);
const root = new X509Certificate(ca.authority.rootPem());

await measure('node:crypto: verify a signature and sign (P-256)', () => {
  verify('sha256', bytes, pair.publicKey, signature);
  sign('sha256', bytes, pair.privateKey);
});
await measure('read a signing request and issue (P-256)', () => ca.authority.issue({ csrPem, id }));
await measure('node:crypto: make a key and sign', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  sign('sha256', bytes, privateKey);
});
await measure('make a key and a signing request', () => ca.csr('reviews'));
await measure('node:crypto: parse a certificate and verify its signature', () =>
  new X509Certificate(der).verify(root.publicKey),
);
await measure('verify a peer', () => verifyPeer([der], () => bundle, { nowMs }));

/** CPU time, in slices whose median counts: what else the machine does is not in it. */
async function measure(name, run) {
  for (let i = 0; i < 50; i++) await run();
  const slices = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end || slices.length < 5) {
    const before = process.cpuUsage();
    for (let i = 0; i < 50; i++) await run();
    const { user, system } = process.cpuUsage(before);
    slices.push((user + system) / 50);
  }
  const each = slices.sort((a, b) => a - b)[slices.length >> 1];
  console.log(`| ${name} | ${(1e6 / each).toFixed(0)} | ${each.toFixed(0)} |`);
}
