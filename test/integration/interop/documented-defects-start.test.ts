import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { staticSource } from '../../../src/identity/source.js';
import { readBootstrap } from '../../../src/mesh/bootstrap/read.js';
import { connectable } from '../../../src/mesh/server-credentials.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { joinQuietly } from '../mesh/support.js';
import { protoType } from './ads/protos.js';
import { IndependentAds } from './ads/server.js';

// What grpc-js-xds 1.14.1 is known to get wrong when it starts, each as a test of ours.

const tools = { identity: staticSource(undefined, []), clock: systemClock, random: seededRandom(1) };

/** The key by which the only server of a bootstrap is known. */
function keyOf(features: readonly string[]): string {
  const text = JSON.stringify({
    xds_servers: [
      { server_uri: 'xds.example:443', channel_creds: [{ type: 'insecure' }], server_features: features },
    ],
    node: { id: 'sidecar~10.0.0.1~a.b~b.svc.cluster.local' },
  });
  const bootstrap = readBootstrap({ GRPC_XDS_BOOTSTRAP_CONFIG: text }, () => {
    throw new Error('no file');
  });
  const [server] = bootstrap?.servers ?? [];
  if (server === undefined) throw new Error('it names a server');
  return connectable(server, tools).key;
}

/** A package in a process of its own: what of CPU and of memory it took to be there. */
function costOf(code: string): { readonly cpuMs: number; readonly megabytes: number } {
  const whole = `const cpu = process.cpuUsage();
    const rss = process.memoryUsage.rss();
    ${code}
    const { user, system } = process.cpuUsage(cpu);
    console.log(JSON.stringify({
      cpuMs: (user + system) / 1000,
      megabytes: (process.memoryUsage.rss() - rss) / 1048576,
    }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', whole], {
    encoding: 'utf8',
    cwd: fileURLToPath(new URL('../../../', import.meta.url)),
  });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout);
}

describe('documented defects of grpc-js-xds that inmesh does not have', () => {
  test('9: servers that differ in their features are different servers', () => {
    const keys = [[], ['ignore_resource_deletion'], ['fail_on_data_errors'], ['trusted_xds_server']].map(
      keyOf,
    );
    expect(new Set(keys).size).toBe(keys.length);
    // Their order is no difference, nor is what nobody knows.
    expect(keyOf(['xds_v3'])).toBe(keyOf([]));
    expect(keyOf(['trusted_xds_server', 'fail_on_data_errors'])).toBe(
      keyOf(['fail_on_data_errors', 'trusted_xds_server']),
    );
  });

  test('10: no client reads protobuf files when it starts', async ({ onTestFinished }) => {
    const read: string[] = [];
    const spies = (['readFileSync', 'readFile', 'openSync', 'open'] as const).map((name) =>
      vi.spyOn(fs, name).mockName(name),
    );
    syncBuiltinESMExports();
    onTestFinished(() => {
      for (const spy of spies) spy.mockRestore();
      syncBuiltinESMExports();
    });
    const ads = await IndependentAds.start();
    onTestFinished(() => ads.close());
    // The server of the test reads such files itself, once.
    protoType('envoy.service.discovery.v3.DiscoveryRequest');
    for (const spy of spies) spy.mockClear();
    for (const service of ['one', 'two']) {
      const mesh = await joinQuietly({ service, controlPlane: ads.address, startupTimeoutMs: 50 }).catch(
        () => undefined,
      );
      await mesh?.close();
    }
    for (const spy of spies) for (const [path] of spy.mock.calls) read.push(String(path));
    expect(read.filter((path) => path.endsWith('.proto'))).toEqual([]);
  });

  test('13: to be there costs less than half of its time and of its memory', () => {
    // What grpc-js itself takes is in both.
    const ours = costOf("await import('./dist/grpc.js'); await import('./dist/index.js');");
    const stock = costOf("const xds = await import('@grpc/grpc-js-xds'); xds.register();");
    expect(ours.cpuMs).toBeLessThan(stock.cpuMs / 2);
    expect(ours.megabytes).toBeLessThan(stock.megabytes / 2);
  });
});
