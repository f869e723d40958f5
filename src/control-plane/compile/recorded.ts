import { isEqual } from '../../runtime/equal.js';
import { record as recordView } from '../kinds/derived.js';
import { type Question, Reads } from '../kinds/reads.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { MeshService } from '../mesh/services.js';
import type { RegisteredService, RegistrySnapshot } from '../registry/snapshot.js';
import type { DestinationPolicy } from './destination-rules.js';
import type { Registered } from './instances.js';
import type { Labels } from './label-index.js';
import { type MtlsModes, type PeerWorkload, takesTls } from './peer-authentication.js';
import type { PodIndex } from './pods.js';

/** Everything that the pieces of an outline may be made from, for one client at one moment. */
export interface CompileWorld {
  readonly view: ConfigView;
  readonly config: MeshConfig;
  readonly registry: RegistrySnapshot;
  readonly pods: PodIndex;
  readonly modes: MtlsModes;
  /** The services that the client reaches, and the policies of its connections to them, by host. */
  readonly services: ReadonlyMap<string, MeshService>;
  readonly policies: ReadonlyMap<string, DestinationPolicy>;
}

/** The world as a piece sees it that is being made: what it asks is written down. */
export interface Recorded extends Pick<CompileWorld, 'view' | 'config'> {
  readonly registered: Registered;
  readonly serviceOf: (host: string) => MeshService | undefined;
  readonly destinationOf: (host: string) => DestinationPolicy | undefined;
  /** Whether a workload takes mesh mTLS on a port at all; which of its modes says so makes no difference. */
  readonly takesMutualTls: (workload: PeerWorkload, port: number) => boolean;
}

/** What was asked for a piece. */
export class PieceReads {
  readonly documents: Reads<ConfigView>;
  readonly #others: Reads<CompileWorld>;

  constructor(documents: Reads<ConfigView>, others: Reads<CompileWorld>) {
    this.documents = documents;
    this.#others = others;
  }

  /** Whether the piece would be the same now. */
  hold(world: CompileWorld): boolean {
    return this.documents.hold(world.view) && this.#others.hold(world);
  }
}

/** Makes a piece, and tells what was asked for it. */
export function recordPiece<T>(
  world: CompileWorld,
  make: (recorded: Recorded) => T,
): { readonly value: T; readonly reads: PieceReads } {
  const others = new Reads<CompileWorld>();
  const { value, reads } = recordView(world.view, (view) => make(recorded(view, world, others)));
  others.end();
  return { value, reads: new PieceReads(reads, others) };
}

function recorded(view: ConfigView, world: CompileWorld, reads: Reads<CompileWorld>): Recorded {
  return {
    view,
    config: new Proxy(world.config, {
      // The fields of a MeshConfig have names.
      get: (_config, field) => reads.ask(world, settingOf, String(field)),
    }),
    registered: {
      named: (key) => reads.ask(world, registeredAs, key),
      chosen: (namespace, selector) => reads.ask(world, registeredWith, { namespace, selector }),
    },
    serviceOf: (host) => reads.ask(world, serviceOf, host),
    destinationOf: (host) => reads.ask(world, destinationOf, host),
    takesMutualTls: ({ namespace, labels }, port) =>
      reads.ask(world, takesMutualTls, JSON.stringify([namespace, labels, port])),
  };
}

function question<K, A>(
  ask: (world: CompileWorld, key: K) => A,
  basis: (world: CompileWorld) => unknown,
  isSame?: (left: A, right: A) => boolean,
): Question<CompileWorld, K, A> {
  return Object.assign((world: CompileWorld, key: K) => ask(world, key), { basis, isSame });
}

const settingOf = question<string, unknown>(
  ({ config }, field) => config[field as keyof MeshConfig],
  ({ config }) => config,
  isEqual,
);

const registeredAs = question<string, RegisteredService | undefined>(
  ({ registry }, key) => registry.services.get(key),
  ({ registry }) => registry.services,
);

const registeredWith = question<
  { readonly namespace: string; readonly selector: Labels | undefined },
  readonly RegisteredService[]
>(
  ({ registry, pods }, { namespace, selector }) => pods.find(registry, namespace, selector),
  ({ registry }) => registry.services,
);

const serviceOf = question<string, MeshService | undefined>(
  ({ services }, host) => services.get(host),
  ({ services }) => services,
  isSameService,
);

const destinationOf = question<string, DestinationPolicy | undefined>(
  ({ policies }, host) => policies.get(host),
  ({ policies }) => policies,
  isEqual,
);

/** By text, as many instances are alike. */
const takesMutualTls = question<string, boolean>(
  ({ modes }, key) => {
    // Such texts are made above alone.
    const [namespace, labels, port] = JSON.parse(key) as [string, Labels, number];
    return takesTls(modes({ namespace, labels }, port));
  },
  ({ modes }) => modes,
);

/** A Sidecar shows parts of a service, each time as an object of its own. */
export function isSameService(left: MeshService | undefined, right: MeshService | undefined): boolean {
  if (left === right) return true;
  return (
    left !== undefined &&
    right !== undefined &&
    left.source === right.source &&
    left.host === right.host &&
    left.ports.length === right.ports.length &&
    left.ports.every((port, at) => port === right.ports[at])
  );
}
