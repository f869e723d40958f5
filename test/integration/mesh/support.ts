import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createMesh, type Mesh, type MeshOptions } from '../../../src/index.js';
import { silentLogger } from '../../../src/runtime/log.js';

const CLI = fileURLToPath(new URL('../../../dist/bin.js', import.meta.url));

/** Addresses that `inmesh dev -o json` prints. */
export interface Addresses {
  readonly xds: string;
  readonly secureXds: string;
  readonly http: string;
}

/** The control plane as a process of its own, so that it can be killed. */
export class ControlPlaneProcess {
  readonly #child: ChildProcess;
  readonly addresses: Addresses;
  /** What it wrote to stderr so far. */
  readonly stderr: () => string;

  private constructor(child: ChildProcess, addresses: Addresses, stderr: () => string) {
    this.#child = child;
    this.addresses = addresses;
    this.stderr = stderr;
  }

  static async start(args: readonly string[], ports?: Addresses): Promise<ControlPlaneProcess> {
    const port = (address: string | undefined) => address?.split(':')[1] ?? '0';
    const given = ['--port', port(ports?.xds), '--secure-port', port(ports?.secureXds)];
    given.push('--http-port', port(ports?.http), '-o', 'json');
    const child = spawn(process.execPath, [CLI, 'dev', ...given, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let talk = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      talk += text;
    });
    const line = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', resolve);
      child.once('exit', (code) => reject(new Error(`the control plane ended with ${code}: ${talk}`)));
    });
    // The command prints exactly these.
    return new ControlPlaneProcess(child, JSON.parse(line) as Addresses, () => talk);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    await ended;
  }
}

/** A folder that goes away with the test, and files in it. */
export class TemporaryFolder {
  readonly path: string = mkdtempSync(join(tmpdir(), 'inmesh-test-'));

  write(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    return path;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Joins the mesh quietly and without a cache, unless told otherwise. */
export function joinQuietly(options: MeshOptions): Promise<Mesh> {
  return createMesh({ logger: silentLogger, cacheDir: false, ...options });
}

export interface Member {
  readonly mesh: Mesh;
  readonly server: Server;
  readonly address: string;
  readonly port: number;
}

/** A service of one server. */
export async function serveAs(options: MeshOptions, handler: RequestListener, port = 0): Promise<Member> {
  const mesh = await joinQuietly(options);
  const server = createServer(handler);
  const bound = await mesh.listen(server, port);
  return { mesh, server, ...bound };
}

/** Polls until the condition holds; throws when it does not in time. */
export async function eventually<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 15_000,
): Promise<T> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > until) throw new Error(`${what} did not happen within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What a load found. */
export interface LoadResult {
  readonly sent: number;
  readonly failures: readonly string[];
  readonly bodies: ReadonlyMap<string, number>;
}

/**
 * Sends requests at a fixed rate, whether the earlier ones are answered or not, until stopped; what is due while
 * `atMost` run is left out, so that a slow machine does not drown.
 */
export function startLoad(
  mesh: Mesh,
  url: string,
  perSecond: number,
  atMost = Number.POSITIVE_INFINITY,
): { readonly bodies: ReadonlyMap<string, number>; stop(): Promise<LoadResult> } {
  const failures: string[] = [];
  const bodies = new Map<string, number>();
  const running = new Set<Promise<void>>();
  let sent = 0;
  let begin = performance.now();
  const one = async () => {
    try {
      const response = await mesh.fetch(url);
      const body = await response.text();
      if (response.status === 200) bodies.set(body, (bodies.get(body) ?? 0) + 1);
      else failures.push(`status ${response.status} ${body}`);
    } catch (error) {
      failures.push(describe(error));
    }
  };
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - begin) / 1000) * perSecond);
    for (; sent < due; sent++) {
      if (running.size >= atMost) {
        // From here on anew.
        begin = performance.now() - (sent / perSecond) * 1000;
        return;
      }
      const promise: Promise<void> = one().finally(() => running.delete(promise));
      running.add(promise);
    }
  }, 5);
  return {
    bodies,
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
      return { sent, failures, bodies };
    },
  };
}

function describe(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) parts.push(at.message);
  return parts.join(': ');
}

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
