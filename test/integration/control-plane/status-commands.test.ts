import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ControlPlane, createControlPlane } from '../../../src/control-plane.js';
import { run as inmesh } from '../../unit/cli/run.js';

// Commands that ask the status API of a control plane where everybody has to prove who it is.

const folder = mkdtempSync(join(tmpdir(), 'inmesh-status-'));
const at = (name: string) => join(folder, name);
let near: ControlPlane;
let far: ControlPlane;

beforeAll(async () => {
  writeFileSync(at('token'), 'operator-token-0123456789\n', { mode: 0o600 });
  writeFileSync(at('wrong'), 'another-token-0123456789', { mode: 0o600 });
  const options = {
    callers: { loopback: false },
    ports: { secureXds: 0, http: 0 },
  };
  const roles = [{ role: 'operator' as const, tokenFile: at('token') }];
  near = await createControlPlane({ ...options, admin: { roles } });
  far = await createControlPlane({ ...options, admin: { host: '0.0.0.0', roles } });
  writeFileSync(at('root.pem'), far.rootsPem());
  writeFileSync(at('other.pem'), near.rootsPem());
});
afterAll(async () => {
  await near.close();
  await far.close();
  rmSync(folder, { recursive: true });
});

const token = (name = 'token') => ['--token-file', at(name)];
const addressOf = (plane: ControlPlane) => `localhost:${plane.addresses.http.split(':').at(-1)}`;

describe.each<[string, (address: string) => string[]]>([
  ['ca status', (address) => ['ca', 'status', '-o', 'json', '--server', address]],
  ['mtls report', (address) => ['mtls', 'report', '-o', 'json', '--control-plane', address]],
  ['mtls check', (address) => ['mtls', 'check', '-o', 'json', '--control-plane', address]],
])('inmesh %s', (_, command) => {
  test('is let in by a token', async () => {
    const { code, out } = await inmesh(...command(addressOf(near)), ...token());
    expect(code).toBe(0);
    expect(JSON.parse(out)).toBeTypeOf('object');
    expect((await inmesh(...command(`http://${addressOf(near)}`), ...token())).code).toBe(0);
  });

  test('says what lacks', async () => {
    const none = await inmesh(...command(addressOf(near)));
    expect(none).toMatchObject({ code: 2, err: expect.stringContaining('--token-file') });
    const wrong = await inmesh(...command(addressOf(near)), ...token('wrong'));
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('401') });
    expect(wrong.err).not.toContain('another-token');
    const missing = await inmesh(...command(addressOf(near)), ...token('none'));
    expect(missing).toMatchObject({ code: 2, err: expect.stringContaining('can not be read') });
  });

  test('asks over TLS, of a control plane that the roots vouch for', async () => {
    const root = (name: string) => ['--ca-root', at(name)];
    expect((await inmesh(...command(addressOf(far)), ...root('root.pem'), ...token())).code).toBe(0);
    const other = await inmesh(...command(addressOf(far)), ...root('other.pem'), ...token());
    expect(other).toMatchObject({ code: 2, err: expect.stringContaining('does not answer') });
    const plain = await inmesh(...command(`http://${addressOf(far)}`), ...root('root.pem'));
    expect(plain).toMatchObject({ code: 2, err: expect.stringContaining('no address') });
  });

  test('sends no token to another machine in plaintext', async () => {
    const { code, err } = await inmesh(...command('mesh.example.com:15014'), ...token());
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining('in plaintext') });
  });
});
