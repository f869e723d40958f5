// Everything the walk works on: the control plane, the services, the configuration, and a visitor in the mesh.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createMesh, silentLogger } from 'inmesh';
import { ConfigFolder } from './config.mjs';
import { inmesh, stop, stopAll } from './processes.mjs';
import { eventually } from './steps.mjs';

const SERVICES = [
  ['details', 'v1'],
  ['ratings', 'v1'],
  ['reviews', 'v1'],
  ['reviews', 'v2'],
  ['reviews', 'v3'],
  ['productpage', 'v1'],
];

export class World {
  config = new ConfigFolder();
  /** `host:port` of the control plane's ports. */
  addresses;
  /** A member of the mesh that calls the product page. */
  mesh;
  log;
  #plane;
  #services = new Map();
  #caches = mkdtempSync(join(tmpdir(), 'inmesh-cache-'));

  constructor(log) {
    this.log = log;
  }

  async start() {
    await this.startControlPlane();
    await Promise.all(SERVICES.map(([service, version]) => this.startService(service, version)));
    const cacheDir = join(this.#caches, 'visitor');
    const where = { controlPlane: this.addresses.xds, cacheDir };
    this.mesh = await createMesh({ service: 'visitor', logger: silentLogger, ...where });
  }

  /** Starts it on the ports it had before, if it ran before. */
  async startControlPlane() {
    const port = (name) => this.addresses?.[name].split(':')[1] ?? '0';
    const ports = ['--port', port('xds'), '--secure-port', port('secureXds'), '--http-port', port('http')];
    const folders = ['--config', this.config.path, '--data', join(this.#caches, 'control-plane')];
    const found = (line) => (line.startsWith('{') ? JSON.parse(line) : undefined);
    this.#plane = await inmesh(['dev', ...folders, ...ports, '-o', 'json'], { found, log: this.log });
    this.addresses = this.#plane.value;
  }

  killControlPlane() {
    return stop(this.#plane, 'SIGKILL');
  }

  /** Starts `inmesh run … -- node services/NAME.mjs` and waits for its port. */
  async startService(service, version, port = 0) {
    const program = fileURLToPath(new URL(`../services/${service}.mjs`, import.meta.url));
    const who = ['-s', service, '-V', version, '--service-account', `bookinfo-${service}`];
    const where = [
      '--control-plane',
      this.addresses.xds,
      '--cache-dir',
      join(this.#caches, `${service}-${version}`),
    ];
    const running = await inmesh(['run', ...who, ...where, '--', process.execPath, program], {
      found: (line) => /listening (\S+)$/.exec(line)?.[1],
      log: this.log,
      env: { PORT: String(port) },
    });
    this.#services.set(`${service}-${version}`, running);
  }

  /** `host:port` of a running service. */
  addressOf(name) {
    return this.#services.get(name).value;
  }

  stopService(name) {
    return stop(this.#services.get(name));
  }

  /** Applies files and waits until what they change can be seen. */
  async apply(names, condition) {
    this.config.apply(...names);
    if (!(await eventually(condition, 15_000))) console.log(`    (${names} is not in force after 15 s)`);
  }

  /** How many clients are connected to the control plane; 0 while it does not answer. */
  async connectedClients() {
    try {
      const response = await fetch(`http://${this.addresses.http}/api/status`);
      return (await response.json()).clients.length;
    } catch {
      return 0;
    }
  }

  async close() {
    await this.mesh?.close();
    await stopAll();
    this.config.close();
    rmSync(this.#caches, { recursive: true, force: true });
  }
}
