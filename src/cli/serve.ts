import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Access, type ControlPlane, createControlPlane, parseAccess } from '../control-plane.js';
import { MeshError } from '../runtime/errors.js';
import { createTextLogger, type LogLevel } from '../runtime/log.js';
import { authorityOf } from './authority.js';
import type { AuthorityOptions } from './authority-options.js';
import { configOf, configPaths, describe, stopSignal, watchConfig } from './dev.js';
import { type Output, version } from './output.js';
import { keepRootsFile } from './roots-file.js';
import { massRemovalOf } from './serving-options.js';

/** What `inmesh serve` was asked for. */
export interface ServeOptions {
  readonly config: readonly string[];
  readonly data: string;
  readonly host: string;
  readonly names: readonly string[];
  readonly securePort: number;
  readonly httpPort: number;
  readonly metricsPort: number | undefined;
  readonly trustDomain: string;
  readonly certificateLifeMs: number;
  /** File with what is said of callers and operators. */
  readonly access: string | undefined;
  readonly kubernetes: boolean;
  readonly debounceMs: { readonly quietMs: number; readonly maxMs: number };
  readonly pushThrottle: number | undefined;
  /** Percentage; undefined = the default. */
  readonly massRemoval: number | undefined;
  readonly authority: AuthorityOptions;
  readonly logLevel: LogLevel;
  readonly format: 'text' | 'json';
}

/** Runs a control plane for other machines until it is told to stop. */
export async function serve(options: ServeOptions, output: Output): Promise<number> {
  const { callers, admin } = await readAccess(options.access);
  const logger = createTextLogger(output.err, options.logLevel);
  const rootFile = join(options.data, 'root.pem');
  const plane = await createControlPlane({
    ...configOf(configPaths(options.config), false),
    dataDir: options.data,
    host: options.host,
    names: options.names,
    ports: {
      secureXds: options.securePort,
      http: options.httpPort,
      ...(options.metricsPort !== undefined && { metrics: options.metricsPort }),
    },
    // Every caller has to prove who it is, on this machine, too.
    callers: { loopback: false, ...(options.kubernetes && { kubernetes: {} }), ...callers },
    ...(admin !== undefined && { admin }),
    trustDomain: options.trustDomain,
    workloadCertificateLifeMs: options.certificateLifeMs,
    debounceMs: options.debounceMs,
    ...massRemovalOf(options.massRemoval),
    ...(options.pushThrottle !== undefined && { limits: { transfers: options.pushThrottle } }),
    ...(await authorityOf(options.authority, logger)),
    logger,
  });
  const roots = await keepRootsFile(plane, rootFile, logger);
  output.out(
    options.format === 'json'
      ? `${JSON.stringify({ ...describe(plane), rootFile })}\n`
      : banner(plane, options, rootFile),
  );
  watchConfig(plane, output);
  await stopSignal();
  await roots.close();
  await plane.close();
  return 0;
}

async function readAccess(path: string | undefined): Promise<Access> {
  if (path === undefined) return {};
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const hint = 'Name a file that can be read';
    throw new MeshError('INMESH_OPTION_INVALID', 'the access file could not be read', {
      resource: path,
      hint,
      cause,
    });
  }
  return parseAccess(text, path);
}

function banner(plane: ControlPlane, options: ServeOptions, rootFile: string): string {
  const { secureXds, http } = plane.addresses;
  return [
    `inmesh serve ${version}   trust domain ${plane.trustDomain}   state kept in ${options.data}`,
    `  xDS and CA   ${secureXds} (TLS; certificate, join token${options.kubernetes ? ', service-account token' : ''})`,
    `  status       http://${http}/api/status (token: ${join(options.data, 'admin.token')})`,
    `  roots        ${rootFile}`,
    `  next         inmesh token create --data ${options.data} --service-account reviews`,
    '',
  ].join('\n');
}
