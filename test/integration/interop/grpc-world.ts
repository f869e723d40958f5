import {
  type ControlPlane,
  type ControlPlaneOptions,
  createControlPlane,
  createMemorySource,
  type MemorySource,
} from '../../../src/control-plane.js';
import { istio } from '../mesh/features-world.js';
import { type GrpcBackend, startGrpcBackend } from './grpc-backends.js';

/** Our control plane with gRPC services of four backends: a, b, c and d. */
export class GrpcWorld {
  readonly #documents = new Map<string, string>();
  readonly #source: MemorySource;
  readonly #backends: readonly GrpcBackend[];
  #plane: ControlPlane;

  private constructor(backends: readonly GrpcBackend[], source: MemorySource, plane: ControlPlane) {
    this.#backends = backends;
    this.#source = source;
    this.#plane = plane;
  }

  static async start(): Promise<GrpcWorld> {
    const names = ['a', 'b', 'c', 'd'];
    const backends = await Promise.all(names.map((name) => startGrpcBackend(name)));
    const source = createMemorySource('');
    return new GrpcWorld(backends, source, await startPlane(source, 0));
  }

  get plane(): ControlPlane {
    return this.#plane;
  }

  /** Another control plane takes the place of this one. */
  async restart(): Promise<void> {
    const port = Number(this.#plane.addresses.xds.split(':').at(-1));
    await this.#plane.close();
    this.#plane = await startPlane(this.#source, port);
  }

  backend(name: string): GrpcBackend {
    const found = this.#backends.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no backend ${name}`);
    return found;
  }

  /** Adds documents, or replaces those given under this name before; they must be accepted. */
  configure(name: string, text: string): void {
    this.#documents.set(name, text);
    this.#source.set([...this.#documents.values()].join(''));
    const { rejected } = this.#plane.status();
    if (rejected !== undefined) throw new Error(JSON.stringify(rejected.violations, null, 1));
  }

  /** A service with rules of its own. Returns the target by which gRPC calls it. */
  serve(host: string, names: readonly string[], ...others: readonly string[]): string {
    this.configure(host, [this.service(host, names), ...others].join(''));
    return `xds:///${host}:8080`;
  }

  /** A service of backends, each a version; `places` says where they are. */
  service(host: string, names: readonly string[], places: Readonly<Record<string, string>> = {}): string {
    return grpcService(
      host,
      names.map((name) => ({
        port: this.backend(name).port,
        labels: { version: name },
        ...(places[name] !== undefined && { locality: places[name] }),
      })),
    );
  }

  /** What clients refused, and which are not up to date. */
  unsettled(): readonly {
    readonly id: string;
    readonly state: string;
    readonly errors: readonly string[];
  }[] {
    return this.#plane.status().clients.flatMap(({ id, state, types }) => {
      if (state === 'SYNCED') return [];
      return [{ id, state, errors: types.flatMap(({ error }) => error ?? []) }];
    });
  }

  async close(): Promise<void> {
    for (const one of this.#backends) one.close();
    await this.#plane.close();
  }
}

function startPlane(source: MemorySource, port: number): Promise<ControlPlane> {
  const options: ControlPlaneOptions = {
    sources: [source],
    ports: { xds: port, secureXds: 0, http: 0 },
    debounceMs: { quietMs: 5, maxMs: 50 },
  };
  return createControlPlane(options);
}

/** An endpoint of a ServiceEntry. */
export interface EntryEndpoint {
  readonly port: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly locality?: string;
  readonly serviceAccount?: string;
}

/** A ServiceEntry of gRPC on port 8080. */
export function grpcService(host: string, endpoints: readonly EntryEndpoint[]): string {
  const listed = endpoints.map(
    ({ port, ...more }) => `- ${JSON.stringify({ address: '127.0.0.1', ports: { grpc: port }, ...more })}`,
  );
  return istio(
    'ServiceEntry',
    host.replaceAll('.', '-'),
    `hosts: [${host}]
location: MESH_INTERNAL
resolution: STATIC
ports: [{ name: grpc, number: 8080, protocol: GRPC }]
${endpoints.length === 0 ? '' : `endpoints:\n${listed.join('\n')}`}`,
  );
}

/** The rules for a host: a traffic policy, with a subset per version. */
export function rules(host: string, policy: string, subsets: readonly string[] = []): string {
  const listed = subsets.map((name) => `- { name: ${name}, labels: { version: ${name} } }`).join('\n');
  return istio(
    'DestinationRule',
    host.replaceAll('.', '-'),
    `host: ${host}
${policy === '' ? '' : `trafficPolicy: ${policy}`}
${listed === '' ? '' : `subsets:\n${listed}`}`,
  );
}

/** The HTTP routes of a host. */
export function routes(host: string, http: string): string {
  return istio('VirtualService', host.replaceAll('.', '-'), `hosts: [${host}]\nhttp:\n${http.trim()}`);
}
