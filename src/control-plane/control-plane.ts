import { setMaxListeners } from 'node:events';
import { systemClock } from '../runtime/clock.js';
import { silentLogger } from '../runtime/log.js';
import { createPlaneAccess } from './access/plane-access.js';
import { openAuthority } from './ca-parts.js';
import { DEFAULT_MESH_CONFIG } from './mesh/mesh-config.js';
import { type OpenedStore, openStore } from './open-store.js';
import type { ControlPlaneOptions } from './options.js';
import { createOwnIdentity } from './own-identity.js';
import type { ControlPlane } from './plane.js';
import { readSources } from './read-sources.js';
import { keepRegistry } from './registry/keep-registry.js';
import { createRegistry } from './registry/registry.js';
import { RunningControlPlane } from './running-plane.js';

/**
 * Starts a control plane: reads and watches configuration, serves xDS and certificates, holds the registry.
 * A configuration that can't be taken is reported by `status()` and `onConfigChange`; it does not keep the rest from
 * starting.
 * @throws MeshError `INMESH_PORT_IN_USE`, `INMESH_LISTEN_FAILED`, `INMESH_STORE_CORRUPT`.
 */
export async function createControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { clock = systemClock, logger = silentLogger } = options;
  const opened = await openStore({
    dataDir: options.dataDir,
    massRemoval: options.massRemoval,
    clock,
    logger,
  });
  try {
    return await startWith(opened, options);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function startWith(opened: OpenedStore, options: ControlPlaneOptions): Promise<ControlPlane> {
  const { clock = systemClock, logger = silentLogger } = options;
  const { store } = opened;
  const stopReading = new AbortController();
  // Every source listens to it, however many there are.
  setMaxListeners(0, stopReading.signal);
  const reading = await readSources(options, { store, clock, signal: stopReading.signal });
  const authority = await openAuthority({
    trustDomain: options.trustDomain ?? DEFAULT_MESH_CONFIG.trustDomain,
    options: options.certificateAuthority ?? {},
    dataDir: options.dataDir,
    workloadLifeMs: options.workloadCertificateLifeMs,
    clock,
    logger,
  });
  const host = options.host ?? '127.0.0.1';
  const own = await createOwnIdentity(authority, { clock, logger, names: [host, ...(options.names ?? [])] });
  const access = await createPlaneAccess(
    { host, dataDir: options.dataDir, callers: options.callers ?? {}, admin: options.admin ?? {} },
    { authority, clock, logger },
  );
  const registry = createRegistry(
    { graceMs: options.registrationGraceMs ?? 2_000, massLoss: options.massRemoval },
    clock,
  );
  registry.held.subscribe((count) => {
    if (count > 0)
      logger.warn(
        { count },
        'most of the workloads are lost at once; they are kept for now: inmesh confirm removes them',
      );
  });
  const kept =
    options.dataDir === undefined
      ? undefined
      : await keepRegistry(registry, options.dataDir, {
          clock,
          logger,
          mayWrite: () => opened.role().writes,
        });
  const plane = new RunningControlPlane(
    { options, opened, store, authority, own, access, registry, clock, logger },
    async () => {
      stopReading.abort();
      await Promise.all([reading.ended, kept?.close()]);
      await opened.close();
    },
  );
  try {
    await plane.start();
  } catch (error) {
    await plane.close();
    throw error;
  }
  return plane;
}
