import type { TestContext } from 'vitest';
import type { Mesh, MeshOptions } from '../../../src/index.js';
import { joinQuietly } from '../mesh/support.js';
import { IndependentAds } from './ads/server.js';
import { putHost } from './ads/shop.js';
import { startBackend } from './backends.js';

/** An independent control plane for one test. */
export async function startAds({ onTestFinished }: TestContext, port = 0): Promise<IndependentAds> {
  const ads = await IndependentAds.start(port);
  onTestFinished(() => ads.close());
  return ads;
}

/** A member of its mesh for one test. */
export async function joinMesh(
  ads: IndependentAds,
  { onTestFinished }: TestContext,
  options: MeshOptions = {},
): Promise<Mesh> {
  const mesh = await joinQuietly({
    service: 'client',
    controlPlane: ads.address,
    startupTimeoutMs: 10_000,
    ...options,
  });
  onTestFinished(() => mesh.close());
  return mesh;
}

/** Loads what the first member of a mesh loads, so that no test is measured by it. */
export async function warmUp(): Promise<void> {
  const ads = await IndependentAds.start();
  const backend = await startBackend('warm');
  putHost(ads.world, 'warm.mesh', [backend.port]);
  const mesh = await joinQuietly({
    service: 'client',
    controlPlane: ads.address,
    startupTimeoutMs: 60_000,
  });
  await ask(mesh, 'warm.mesh');
  await mesh.close();
  await ads.close();
  await backend.close();
}

/** Status and body of a request, `200 a`. */
export async function ask(mesh: Mesh, host = 'shop.mesh', init?: RequestInit): Promise<string> {
  const response = await mesh.fetch(`http://${host}/`, init);
  return `${response.status} ${await response.text()}`;
}
