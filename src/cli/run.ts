import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { MeshError } from '../runtime/errors.js';
import { whenLeftAlone } from './left-alone.js';
import type { Output } from './output.js';
import { LinePrefixer } from './prefix.js';

/** What `inmesh run` was asked for. */
export interface RunOptions {
  readonly service: string;
  readonly version: string | undefined;
  readonly namespace: string | undefined;
  readonly serviceAccount: string | undefined;
  readonly labels: readonly string[];
  readonly locality: string | undefined;
  readonly controlPlane: string | undefined;
  readonly cacheDir: string | undefined;
  readonly command: readonly string[];
}

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
const COLORS = [36, 33, 35, 32, 34, 31];

/** The environment that makes `createMesh()` join as the given service. Nothing that is set already is lost. */
export function runEnvironment(
  options: RunOptions,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const add = {
    INMESH_SERVICE: options.service,
    INMESH_VERSION: options.version,
    INMESH_NAMESPACE: options.namespace,
    INMESH_SERVICE_ACCOUNT: options.serviceAccount,
    INMESH_LABELS: options.labels.length > 0 ? options.labels.join(',') : undefined,
    INMESH_LOCALITY: options.locality,
    INMESH_CONTROL_PLANE: options.controlPlane,
    INMESH_CACHE_DIR: options.cacheDir,
  };
  return { ...env, ...Object.fromEntries(Object.entries(add).filter(([, value]) => value !== undefined)) };
}

/**
 * Starts the program, prefixes what it prints, forwards signals to it, and ends as it ends.
 * @returns its exit code; 128 + n when signal n ended it, as shells report it.
 * @throws MeshError `INMESH_COMMAND_FAILED` when it can't be started.
 */
export async function run(options: RunOptions, output: Output): Promise<number> {
  const [file, ...args] = options.command;
  if (file === undefined) {
    throw new MeshError('INMESH_COMMAND_FAILED', 'no command was given', {
      hint: 'For example: inmesh run -s reviews -V v1 -- node reviews.js',
    });
  }
  const child = spawn(file, args, {
    env: runEnvironment(options, process.env),
    stdio: ['inherit', 'pipe', 'pipe'],
  });
  const prefix = prefixOf(options, output.color);
  const flushOut = pipeLines(child.stdout, prefix, output.out);
  const flushErr = pipeLines(child.stderr, prefix, output.err);
  const stopForwarding = forwardSignals(child);
  try {
    return await exitOf(child, file);
  } finally {
    stopForwarding();
    flushOut();
    flushErr();
  }
}

function prefixOf({ service, version }: RunOptions, color: boolean): string {
  const name = version === undefined ? service : `${service}-${version}`;
  if (!color) return `${name} | `;
  const sum = [...name].reduce((total, letter) => total + letter.charCodeAt(0), 0);
  return `\u001b[${COLORS[sum % COLORS.length]}m${name} |\u001b[0m `;
}

function pipeLines(stream: NodeJS.ReadableStream, prefix: string, write: (text: string) => void): () => void {
  const lines = new LinePrefixer(prefix, write);
  stream.setEncoding('utf8').on('data', (chunk: string) => lines.push(chunk));
  return () => lines.end();
}

function forwardSignals(child: ChildProcess): () => void {
  // A terminal sends SIGINT to the whole group: the child has it already, a second copy does no harm.
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of FORWARDED) process.on(signal, forward);
  const stopLooking = whenLeftAlone(() => forward('SIGTERM'));
  return () => {
    stopLooking();
    for (const signal of FORWARDED) process.off(signal, forward);
  };
}

function exitOf(child: ChildProcess, file: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => {
      reject(
        new MeshError('INMESH_COMMAND_FAILED', `${file} could not be started`, {
          cause,
          hint: 'Check the name of the program and that it may be executed',
        }),
      );
    });
    // 'close' comes after the last output, 'exit' before it.
    child.once('close', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
