import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../runtime/atomic-file.js';
import type { Clock } from '../../runtime/clock.js';
import { debounce } from '../../runtime/debounce.js';
import { codeOf, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { WorkloadRegistry } from './registry.js';
import { workloadsIn } from './snapshot.js';
import { createWorkload, type Workload } from './workload.js';

const FILE = 'registry.json';
const SAVE = { quietMs: 200, maxMs: 1_000 };
/** A client's longest wait between two attempts to connect, and some more. */
const RESTORED_TTL_MS = 60_000;

const saved = z.array(
  z.object({
    owner: z.string(),
    service: z.string(),
    namespace: z.string(),
    version: z.string(),
    labels: z.record(z.string(), z.string()),
    address: z.string(),
    port: z.number(),
    portName: z.string(),
    locality: z.object({ region: z.string(), zone: z.string(), subZone: z.string() }),
    serviceAccount: z.string(),
    tlsMode: z.enum(['istio', 'disabled']),
    weight: z.number(),
    clusterId: z.string().optional(),
    protocol: z.enum(['tcp', 'grpc', '']).optional(),
    group: z.string().optional(),
    health: z.enum(['healthy', 'unhealthy']).optional(),
    isMember: z.literal(true).optional(),
  }),
);

export interface KeepTools {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether the folder is this process's. Default it is. */
  readonly mayWrite?: () => boolean;
}

/**
 * Keeps the registry in a file of the folder, and takes back what is there: after a restart workloads are endpoints
 * until they connect again, or for a minute. Without it a control plane that restarts would tell its clients that
 * endpoints are gone which only wait for their next attempt to connect.
 */
export async function keepRegistry(
  registry: WorkloadRegistry,
  directory: string,
  { clock, logger, mayWrite = () => true }: KeepTools,
): Promise<{ close(): Promise<void> }> {
  const path = join(directory, FILE);
  restore(registry, await load(path, logger));
  let writing = Promise.resolve();
  const save = () => {
    if (!mayWrite()) return;
    const text = JSON.stringify([...workloadsIn(registry.current.value)]);
    writing = writing
      .then(() => writeFileAtomic(path, [Buffer.from(text)], { mode: 0o600 }))
      .catch((error: unknown) => {
        logger.warn({ path, error: messageOf(error) }, 'the registry could not be saved');
      });
  };
  const soon = debounce(save, SAVE, clock);
  const unsubscribe = registry.current.subscribe(() => soon.call());
  return {
    close() {
      unsubscribe();
      soon.cancel();
      // What is registered at the end is what the next process should start with.
      save();
      return writing;
    },
  };
}

/** The saved workloads; a file that can not be used counts as none, since workloads register again by themselves. */
async function load(path: string, logger: Logger): Promise<readonly Workload[]> {
  try {
    const entries = saved.parse(JSON.parse(await readFile(path, 'utf8')));
    return entries.map(({ owner, protocol, ...input }) =>
      createWorkload(owner, { ...input, protocol: protocol || undefined }),
    );
  } catch (error) {
    if (codeOf(error) !== 'ENOENT')
      logger.warn({ path, error: messageOf(error) }, 'the saved registry is not used');
    return [];
  }
}

function restore(registry: WorkloadRegistry, workloads: readonly Workload[]): void {
  const byOwner = new Map<string, Workload[]>();
  for (const workload of workloads) {
    const own = byOwner.get(workload.owner) ?? [];
    own.push(workload);
    byOwner.set(workload.owner, own);
  }
  for (const [owner, own] of byOwner) registry.register(owner, own, RESTORED_TTL_MS);
}
