import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { createCertificateAuthority, createDirectoryCaStore } from '../../../src/control-plane.js';

const PUBLIC = new URL('../../../dist/control-plane.js', import.meta.url).href;
const dir = mkdtempSync(join(tmpdir(), 'inmesh-ca-kill-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Rotates for ever, and says which step is next. */
const PROGRAM = `
import { createCertificateAuthority, createDirectoryCaStore } from ${JSON.stringify(PUBLIC)};
const authority = await createCertificateAuthority({
  trustDomain: 'cluster.local',
  store: createDirectoryCaStore(process.argv[1]),
});
for (;;) {
  for (const step of ['begin', 'activate', 'retire']) {
    console.log(step);
    await authority.rotation[step]({ waits: true, force: true }).catch((error) => {
      if (error.code !== 'INMESH_CA_ROTATION') throw error;
    });
  }
}
`;

const reopen = () =>
  createCertificateAuthority({ trustDomain: 'cluster.local', store: createDirectoryCaStore(dir) });

test('an authority that is killed in the middle of a rotation goes on from the step before or after', async () => {
  expect(fileURLToPath(PUBLIC)).toContain('dist');
  await reopen();
  for (const delayMs of [0, 1, 3, 5, 8]) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout });
    for (let steps = 0; steps < 3 + delayMs; steps++) await once(lines, 'line');
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    const authority = await reopen();
    const phases = authority.status().roots.map(({ phase }) => phase);
    expect(phases.filter((phase) => phase === 'active')).toHaveLength(1);
    expect(phases.length).toBeLessThanOrEqual(2);
    expect(authority.bundle().authorities).toContain(authority.rootPem());
    // The dead process holds nothing: steps go on at once.
    const before = authority.trust().sequence;
    await authority.revocation.revoke({ kind: 'serials', value: 'ab' });
    expect(authority.trust().sequence).toBe(before + 1);
  }
  // Half-written files of the dead are no state.
  expect(readdirSync(dir)).toContain('ca.json');
});
