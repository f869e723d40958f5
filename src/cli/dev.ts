import { existsSync } from 'node:fs';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  createControlPlane,
  createModuleSource,
  isConfigModule,
} from '../control-plane.js';
import { systemClock } from '../runtime/clock.js';
import { MeshError } from '../runtime/errors.js';
import { createTextLogger, type LogLevel } from '../runtime/log.js';
import { authorityOf } from './authority.js';
import type { AuthorityOptions } from './authority-options.js';
import { whenLeftAlone } from './left-alone.js';
import { type Output, version } from './output.js';
import { massRemovalOf } from './serving-options.js';

/** What `inmesh dev` was asked for. */
export interface DevOptions {
  readonly config: readonly string[];
  readonly data: string | undefined;
  readonly port: number;
  readonly securePort: number;
  readonly httpPort: number;
  readonly trustDomain: string;
  readonly certificateLifeMs: number;
  readonly debounceMs: { readonly quietMs: number; readonly maxMs: number };
  /** How many clients are sent to at a time. */
  readonly pushThrottle: number | undefined;
  /** Percentage; undefined = the default. */
  readonly massRemoval: number | undefined;
  readonly authority: AuthorityOptions;
  readonly logLevel: LogLevel;
  readonly format: 'text' | 'json';
}

/** Files that are watched when no `--config` is given. */
const DEFAULT_CONFIG = ['mesh.yaml', 'mesh.d'];

/** Runs the control plane in this process until it is told to stop. */
export async function dev(options: DevOptions, output: Output): Promise<number> {
  const config = configPaths(options.config);
  const logger = createTextLogger(output.err, options.logLevel);
  const plane = await createControlPlane({
    ...configOf(config, true),
    ...(options.data !== undefined && { dataDir: options.data }),
    ports: { xds: options.port, secureXds: options.securePort, http: options.httpPort },
    trustDomain: options.trustDomain,
    workloadCertificateLifeMs: options.certificateLifeMs,
    debounceMs: options.debounceMs,
    ...massRemovalOf(options.massRemoval),
    ...(options.pushThrottle !== undefined && { limits: { transfers: options.pushThrottle } }),
    ...(await authorityOf(options.authority, logger)),
    logger,
  });
  output.out(
    options.format === 'json' ? `${JSON.stringify(describe(plane))}\n` : banner(plane, options, config),
  );
  watchConfig(plane, output);
  await stopSignal();
  await plane.close();
  return 0;
}

/** What is read: what was named, which has to be there, or the usual files. */
export function configPaths(named: readonly string[]): readonly string[] {
  if (named.length === 0) return DEFAULT_CONFIG.filter((path) => existsSync(path));
  const missing = named.find((path) => !existsSync(path));
  if (missing === undefined) return named;
  throw new MeshError('INMESH_CONFIG_READ', `${missing} does not exist`, {
    hint: 'Give a file or a folder of YAML, or a module that exports a mesh',
  });
}

/**
 * Files and folders are watched. Modules that are named are run: again on each change of their file where they are watched.
 */
export function configOf(
  paths: readonly string[],
  watch: boolean,
): Required<Pick<ControlPlaneOptions, 'config' | 'sources'>> {
  const modules = paths.filter(isConfigModule);
  return {
    config: paths.filter((path) => !modules.includes(path)),
    sources: modules.map((path) => createModuleSource(path, { watch }, systemClock)),
  };
}

/** The addresses of a control plane, for programs. */
export function describe(plane: ControlPlane): object {
  return { version, ...plane.addresses, trustDomain: plane.trustDomain, revision: plane.status().revision };
}

function banner(plane: ControlPlane, options: DevOptions, config: readonly string[]): string {
  const { xds, secureXds, http } = plane.addresses;
  const state = options.data === undefined ? 'in memory (--data DIR keeps it)' : `kept in ${options.data}`;
  const watched = config.length === 0 ? 'none (--config FILE|DIR)' : `${config.join(', ')} (watched)`;
  return [
    `inmesh dev ${version}   trust domain ${plane.trustDomain}   state ${state}`,
    `  xDS and CA   ${xds} (plaintext, loopback only)   ${secureXds} (mTLS)`,
    `  status       http://${http}/api/status`,
    `  config       ${watched}, revision ${plane.status().revision}`,
    `  certificates workload life ${Math.round(options.certificateLifeMs / 1000)} s`,
    `  next         npx inmesh run -s reviews -V v1 -- node reviews.js`,
    '',
  ].join('\n');
}

/** Tells of each accepted change of the configuration; refusals are in the control plane's own log. */
export function watchConfig(plane: ControlPlane, output: Output): void {
  plane.onConfigChange((event) => {
    if (event === 'accepted') output.err(`configuration revision ${plane.status().revision} in force\n`);
  });
}

/** Resolves when the process is told to stop, or the npm that started it is gone. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    whenLeftAlone(resolve);
  });
}
