import { createClusters } from '../../../src/cluster/clusters.js';
import type { Transport } from '../../../src/cluster/transport.js';
import { LocalZone } from '../../../src/cluster/zone.js';
import { Applier } from '../../../src/mesh/apply.js';
import { readLoad } from '../../../src/mesh/orca/read-load.js';
import type { HostTable } from '../../../src/routing/host-table.js';
import { Abort } from '../../../src/runtime/abort.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { type Random, seededRandom } from '../../../src/runtime/random.js';
import { EMPTY_BODY } from '../../../src/service/body.js';
import { Completion } from '../../../src/service/completion.js';
import { createExchange } from '../../../src/service/context.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Request, Response } from '../../../src/service/service.js';
import { TransportError } from '../../../src/service/transport-error.js';
import { createVirtualClock, type VirtualClock } from './clock.js';
import { Recorder } from './recorder.js';
import { type ServerBehaviour, SimulatedServer } from './server.js';
import { LOCAL_CLUSTER, type Place, SERVICE, type ServiceConfig, snapshotFor } from './xds.js';

export interface WorldOptions {
  readonly seed: number;
  readonly config: ServiceConfig;
  readonly places: readonly Place[];
  readonly server: ServerBehaviour;
  /** Where a server differs from that, by address. */
  readonly servers?: Readonly<Record<string, Partial<ServerBehaviour>>>;
  /** Responses say how loaded their server is. */
  readonly reportsLoad?: boolean;
  /** Processes that call; each has a data path of its own. */
  readonly clients: number;
  /** Where they are, one for each, for zone-aware routing; by default nobody knows. */
  readonly callers?: readonly Place[];
  /** Requests per second of all clients together, at random times; 0 = none by themselves. */
  readonly rps: number;
  /** Gives each request its path. */
  readonly path?: (random: Random) => string;
}

/** Clients with the real data path, simulated servers, virtual time. The same seed gives the same run. */
export class World {
  readonly clock: VirtualClock = createVirtualClock();
  readonly record = new Recorder();
  readonly servers = new Map<string, SimulatedServer>();
  readonly #options: WorldOptions;
  readonly #random: Random;
  readonly #clients: Client[];
  #places: readonly Place[];

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#places = options.places;
    for (const { address } of options.places) this.#start(address);
    this.#clients = Array.from(
      { length: options.clients },
      (_, at) => new Client(this, seededRandom(options.seed * 1000 + at), options.callers?.[at]?.zone),
    );
    this.#send();
    if (options.rps > 0) this.#arrive();
  }

  get reportsLoad(): boolean {
    return this.#options.reportsLoad === true;
  }

  /** Changes the endpoints, as EDS does. */
  setPlaces(places: readonly Place[]): void {
    this.#places = places;
    for (const { address } of places) if (!this.servers.has(address)) this.#start(address);
    this.#send();
  }

  /** Zone of a host, `address:port`. */
  zoneOf(host: string): string {
    const [address] = host.split(':');
    return this.#places.find((place) => place.address === address)?.zone ?? '';
  }

  serverAt(address: string): SimulatedServer {
    const server = this.servers.get(address);
    if (server === undefined) throw new Error(`no server at ${address}`);
    return server;
  }

  /** Where a request with these headers is sent. */
  async hostFor(headers: Readonly<Record<string, string>>): Promise<string> {
    const before = new Map([...this.servers].map(([address, { received }]) => [address, received]));
    const [client] = this.#clients;
    const answered = client?.call('/', headers);
    await this.clock.runUntil(this.clock.now() + 100);
    await answered;
    const found = [...this.servers].find(([address, { received }]) => received !== before.get(address));
    if (found === undefined) throw new Error('the request was sent nowhere');
    return found[0];
  }

  async runUntil(seconds: number): Promise<void> {
    await this.clock.runUntil(seconds * 1000);
  }

  #start(address: string): void {
    const random = seededRandom(this.#options.seed * 7919 + this.servers.size);
    const behaviour = { ...this.#options.server, ...this.#options.servers?.[address] };
    this.servers.set(address, new SimulatedServer(behaviour, this.clock, random));
  }

  #send(): void {
    const snapshot = snapshotFor(this.#options.config, this.#places, this.#options.callers);
    for (const client of this.#clients) client.apply(snapshot);
  }

  /** Requests come independently of each other and of the answers. */
  #arrive(): void {
    const gapMs = (-Math.log(1 - this.#random()) * 1000) / this.#options.rps;
    this.clock.schedule(gapMs, () => {
      const client = this.#clients[Math.floor(this.#random() * this.#clients.length)];
      void client?.call(this.#options.path?.(this.#random) ?? '/');
      this.#arrive();
    });
  }
}

/** One process: its own clusters, breakers, ejections and chance. */
class Client {
  readonly #world: World;
  readonly #random: Random;
  readonly #applier: Applier;
  #table: HostTable | undefined;

  constructor(world: World, random: Random, zone: string | undefined) {
    this.#world = world;
    this.#random = random;
    const { clock } = world;
    const clusters = createClusters({
      clock,
      random,
      observer: {},
      logger: silentLogger,
      transport: transportTo(world),
      readLoad,
      zone: zone === undefined ? undefined : new LocalZone(LOCAL_CLUSTER, { region: '', zone, subZone: '' }),
    });
    this.#applier = new Applier(clusters, {
      clock,
      random,
      observer: {
        attempt(_request, { host = '' }) {
          world.record.attempted(clock.now(), host);
          if (zone !== undefined) world.record.placed(clock.now(), zone, world.zoneOf(host));
        },
      },
      filters: [],
      failureRateBreaker: () => undefined,
      node: { id: 'node', cluster: 'simulation' },
      upstream: () => undefined,
    });
  }

  apply(snapshot: Parameters<Applier['apply']>[0]): void {
    this.#table = this.#applier.apply(snapshot);
  }

  async call(path: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const target = this.#table?.lookup(`http://${SERVICE}`);
    if (target === undefined) throw new Error('the service has no route');
    const { clock, record } = this.#world;
    const startMs = clock.now();
    const request: Request = {
      method: 'GET',
      scheme: 'http',
      authority: SERVICE,
      path,
      headers: HeaderMap.from(Object.entries(headers)),
      body: EMPTY_BODY,
      abort: new Abort(),
      context: createExchange('outbound', startMs, this.#random()),
    };
    let status = 0;
    try {
      status = (await target.service(request)).status;
    } catch (error) {
      if (!TransportError.is(error)) throw error;
    }
    record.answered(startMs, status, clock.now() - startMs);
  }
}

function transportTo(world: World): Transport {
  return ({ address: { address } }) => ({
    service: async (request) => {
      const server = world.serverAt(address);
      const status = await untilAborted(server.handle(), request);
      return {
        status,
        statusText: '',
        headers: HeaderMap.from([['endpoint-load-metrics', world.reportsLoad ? server.load() : undefined]]),
        body: EMPTY_BODY,
        completion: Completion.done,
      } satisfies Response;
    },
    close: async () => {},
  });
}

function untilAborted(status: Promise<number>, request: Request): Promise<number> {
  return new Promise((resolve, reject) => {
    const unlink = request.abort.onAbort((reason) => reject(new TransportError('aborted', true, reason)));
    void status.then((value) => {
      unlink();
      resolve(value);
    });
  });
}
