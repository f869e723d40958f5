// How many certificates the authority issues and a workload verifies a second, on one core.
//   node bench/certificates.mjs [--seconds 2]
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
  `inmesh ${version}, Node ${process.version}, ${seconds} s each\n\n| operation | per second | us each |\n| --- | --- | --- |`,
);
await measure('read a signing request and issue (P-256)', () => ca.authority.issue({ csrPem, id }));
await measure('make a key and a signing request', () => ca.csr('reviews'));
await measure('verify a peer', () => verifyPeer([der], () => bundle, { nowMs }));

async function measure(name, run) {
  for (let i = 0; i < 50; i++) await run();
  const start = performance.now();
  let count = 0;
  for (; performance.now() - start < seconds * 1000; count++) await run();
  const each = ((performance.now() - start) * 1000) / count;
  console.log(`| ${name} | ${(1e6 / each).toFixed(0)} | ${each.toFixed(0)} |`);
}
