import type { Server } from 'node:net';
import type { IdentitySource } from '../identity/source.js';
import type { ConfigDump, ConfigDumpOptions } from '../mesh/admin/mesh-admin.js';
import { renderClusters } from '../mesh/cluster-metrics.js';
import type { MeshCore } from '../mesh/core.js';
import { renderFilters } from '../mesh/filter-metrics.js';
import type { RunningMesh } from '../mesh/mesh.js';
import { type MeshOptions, type ResolvedMeshOptions, resolveOptions } from '../mesh/options.js';
import { renderServers } from '../mesh/server-statuses.js';
import { startMesh } from '../mesh/start.js';
import type { MeshStatus } from '../mesh/status.js';
import { systemClock } from '../runtime/clock.js';
import { defaultLogger, surroundings } from '../runtime/process.js';
import { systemRandom } from '../runtime/random.js';
import { type ListenTarget, listenInMesh } from './http/listen.js';
import { LoadReports } from './http/load/load-reports.js';
import type { ReportedLoad } from './http/load/reported-load.js';
import { type MetricsEndpoint, serveMetrics } from './http/metrics-server.js';
import { setServing } from './serving.js';
import { type ConnectOptions, connectThroughMesh } from './tcp/connect.js';
import type { MeshSocket } from './tcp/mesh-socket.js';
import { Tunnels } from './tunnels.js';
import { MeshDispatcher } from './undici/dispatcher.js';
import { createDispatchingFetch } from './undici/fetch/create-fetch.js';
import { upstreamTransport } from './upstream/transport.js';

/** A process's membership in the mesh. */
export interface Mesh {
  /** What bindings work with: the way to an origin. */
  readonly core: MeshCore;
  /** undici's fetch, through the mesh and cheaper: `mesh.fetch('http://reviews:9080/reviews/0')`. */
  readonly fetch: typeof globalThis.fetch;
  /** An undici Dispatcher through the mesh, for `undici.request`, clients that take a dispatcher, or `setGlobalDispatcher`. */
  readonly dispatcher: MeshDispatcher;
  /**
   * Makes a node:http or node:net server listen as a member of the mesh: mTLS (and, in PERMISSIVE, plaintext) on its port, and
   * registered with the control plane while this process lives. A server that ends TLS itself (node:tls, node:https) is one
   * of node:net: its TLS stays its own. Resolves when it listens.
   * @throws MeshError `INMESH_PORT_IN_USE` or `INMESH_LISTEN_FAILED`.
   */
  listen(
    server: Server,
    port?: number | ListenTarget,
  ): Promise<{ readonly address: string; readonly port: number }>;
  /**
   * A connection for any protocol, through the mesh: routed, with the mesh's TLS, limits and telemetry. As `net.connect`
   * it returns at once and emits `connect` or `error`. A host that the mesh does not know is connected to as it is.
   */
  connect(host: string, port: number, options?: ConnectOptions): MeshSocket;
  /** Settles when configuration is in force; rejects with `INMESH_CONTROL_PLANE_UNAVAILABLE` when none comes in time. */
  ready(): Promise<void>;
  /** This process's certificate and the bundles it trusts. */
  readonly identity: IdentitySource;
  /** What is in force, for people and probes. */
  status(): MeshStatus;
  /** Istio's standard metrics of this process, and Envoy's figures of its clusters and filters, in Prometheus' text format. */
  metrics(): string;
  /**
   * Says how loaded the application is as a whole, for clients that balance by it (ORCA): over streams, and in responses to
   * those who ask. It holds until the next call; what is left out is measured.
   * @throws MeshError `INMESH_OPTION_INVALID` for values that are negative or not finite.
   */
  reportLoad(load: ReportedLoad): void;
  /**
   * The configuration in force, in the form of Envoy's `/config_dump`; secrets are not in it.
   * @throws MeshError `INMESH_OPTION_INVALID` for a list that there is not, `INMESH_CONFIG_INVALID` for a bad `nameRegex`.
   */
  configDump(options?: ConfigDumpOptions): ConfigDump;
  /** Leaves the mesh: deregisters, lets running exchanges finish, closes connections. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts a mesh with the bindings of this platform. */
export async function joinMesh(options: MeshOptions): Promise<Mesh> {
  const logger = options.logger ?? defaultLogger();
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const resolved = resolveOptions(options, surroundings());
  const tunnels = new Tunnels();
  const running = await startMesh(resolved, {
    clock,
    random,
    logger,
    transport: (identity, secrets) => upstreamTransport({ identity, clock, random, secrets, tunnels }),
  });
  const endpoints = await openEndpoints(running, resolved);
  // A cached configuration ends the wait as the control plane's does.
  await running.waitAtMost(resolved.startupTimeoutMs);
  return new JoinedMesh(running, tunnels, endpoints);
}

interface Endpoints {
  metrics?: MetricsEndpoint;
  admin?: MetricsEndpoint;
}

/** What is served besides the application: metrics, and what there is to see for people and tools. */
async function openEndpoints(
  running: RunningMesh,
  { metricsAddress, adminAddress }: ResolvedMeshOptions,
): Promise<Endpoints> {
  const sources = {
    metrics: () => metricsOf(running),
    isReady: () => running.status().configuration !== 'none',
  };
  const endpoints: Endpoints = {};
  try {
    if (metricsAddress !== undefined) endpoints.metrics = await serveMetrics(metricsAddress, sources);
    if (adminAddress !== undefined) {
      const { serveAdmin } = await import('./http/admin/admin-server.js');
      const shown = { ...sources, admin: running.admin };
      endpoints.admin = await serveAdmin(adminAddress, shown, running.clock);
    }
    return endpoints;
  } catch (error) {
    await endpoints.metrics?.close();
    await running.close();
    throw error;
  }
}

function metricsOf(running: RunningMesh): string {
  const { clusters, controlPlane } = running.status();
  return (
    running.metrics.render() +
    renderServers(controlPlane.servers, running.clock) +
    renderClusters(clusters) +
    renderFilters(running.filterMemory.counters)
  );
}

class JoinedMesh implements Mesh {
  readonly core: MeshCore;
  readonly dispatcher: MeshDispatcher;
  readonly fetch: typeof globalThis.fetch;
  readonly #running: RunningMesh;
  readonly #listeners = new Set<{ close(): Promise<void> }>();
  readonly #endpoints: Endpoints;
  readonly #tunnels: Tunnels;
  readonly #loads: LoadReports;
  #closing: Promise<void> | undefined;

  constructor(running: RunningMesh, tunnels: Tunnels, endpoints: Endpoints) {
    this.#running = running;
    this.#endpoints = endpoints;
    this.#tunnels = tunnels;
    this.#loads = new LoadReports(running.clock);
    this.core = running;
    this.dispatcher = new MeshDispatcher(this);
    this.fetch = createDispatchingFetch(this.dispatcher);
    setServing(this, {
      mesh: running,
      loads: this.#loads,
      add: (server) => {
        this.#listeners.add(server);
        return () => void this.#listeners.delete(server);
      },
    });
  }

  get identity(): IdentitySource {
    return this.#running.identity;
  }

  async listen(server: Server, port: number | ListenTarget = 0): Promise<{ address: string; port: number }> {
    const target = typeof port === 'number' ? { port } : port;
    const listener = await listenInMesh(server, target, this.#running, this.#loads);
    this.#listeners.add(listener);
    server.once('close', () => this.#listeners.delete(listener));
    return listener.bound;
  }

  connect(host: string, port: number, options: ConnectOptions = {}): MeshSocket {
    return connectThroughMesh({ host, port }, options, { mesh: this.#running, tunnels: this.#tunnels });
  }

  ready(): Promise<void> {
    return this.#running.whenConfigured();
  }

  status(): MeshStatus {
    const { admin } = this.#endpoints;
    const at = admin && { address: admin.address, port: admin.port };
    return { ...this.#running.status(), admin: at };
  }

  reportLoad(load: ReportedLoad): void {
    this.#loads.say(load);
  }

  configDump(options?: ConfigDumpOptions): ConfigDump {
    return this.#running.admin.configDump(options);
  }

  metrics(): string {
    return metricsOf(this.#running);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // First no new work: out of the registry, then let the servers finish what they have.
    await Promise.all([...this.#listeners].map((listener) => listener.close()));
    await this.#running.close();
    this.#tunnels.close();
    await this.dispatcher.close();
    // Last, so that a final scrape sees how it ended.
    await Promise.all([this.#endpoints.metrics?.close(), this.#endpoints.admin?.close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
