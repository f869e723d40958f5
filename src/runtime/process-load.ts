import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';

/** How busy this process was since it started, in milliseconds. */
export interface ProcessLoad {
  /** Time that the event loop worked, and time that it waited. */
  readonly activeMs: number;
  readonly idleMs: number;
  /** Time of all processors. */
  readonly cpuMs: number;
  /** Processors that it may use. */
  readonly processors: number;
}

/** Reads how busy this process was. */
export function readProcessLoad(): ProcessLoad {
  const { active, idle } = performance.eventLoopUtilization();
  const { user, system } = process.cpuUsage();
  return {
    activeMs: active,
    idleMs: idle,
    cpuMs: (user + system) / 1000,
    processors: availableParallelism(),
  };
}
