import type { TestContext } from 'vitest';
import type { Mesh, MeshOptions } from '../../../src/index.js';
import { joinQuietly } from '../mesh/support.js';
import { IndependentAds } from './ads/server.js';

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

/** Status and body of a request, `200 a`. */
export async function ask(mesh: Mesh, host = 'shop.mesh', init?: RequestInit): Promise<string> {
  const response = await mesh.fetch(`http://${host}/`, init);
  return `${response.status} ${await response.text()}`;
}
