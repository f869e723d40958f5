import { DeltaSession } from './delta-session.js';
import { type GrpcCall, type GrpcCallListener, type GrpcServer, STATUS, serveGrpc } from './grpc-stream.js';
import { type LoadReport, LRS_METHOD, lrsSession } from './lrs-session.js';
import { Referee } from './referee.js';
import { SotwSession } from './sotw-session.js';
import type { Short, Verdict } from './types.js';
import { AdsWorld, type Resource } from './world.js';

/** One response about to leave. */
export interface Outgoing {
  readonly type: Short;
  /** Replaces the type in the response. */
  readonly typeUrl?: string;
  readonly version: string;
  readonly nonce: string;
  readonly resources: readonly Resource[];
  /** Delta only. */
  readonly removed: readonly string[];
}

/** What a hostile server may do instead of sending a response. */
export interface Wire {
  /** Sends a response and tells the referee what has to become of it. */
  send(response: Outgoing, verdict?: Verdict): void;
  /** Tells the referee of a response that leaves otherwise. */
  expect(response: Outgoing, verdict?: Verdict): void;
  /** A response as bytes. */
  encode(response: Outgoing): Uint8Array;
  /** A nonce of its own. */
  nonce(): string;
  readonly call: GrpcCall;
}

/** Decides what leaves in place of a response. */
export type Hostility = (response: Outgoing, wire: Wire) => void;

/** Sends what is due, as a server should. */
export const well: Hostility = (response, wire) => wire.send(response);

/** A stream of either protocol. */
export interface Session extends GrpcCallListener {
  /** Sends what changed. */
  push(): void;
  unanswered(): readonly string[];
  readonly call: GrpcCall;
}

/** What all sessions share. */
export interface SessionTools {
  readonly world: AdsWorld;
  readonly referee: Referee;
  readonly hostility: () => Hostility;
  /** Whether a refused response is sent again at once, as go-control-plane does. */
  readonly resendsOnNack: () => boolean;
  readonly nonce: () => string;
}

const METHODS = {
  sotw: '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
  delta: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
};

/** An xDS server made from the protocol's text, which knows nothing of this project, and keeps its clients to the rules. */
export class IndependentAds {
  readonly referee: Referee = new Referee();
  readonly world: AdsWorld = new AdsWorld(this.referee.mentioned);
  /** What leaves in place of responses. */
  hostility: Hostility = well;
  resendsOnNack = false;
  /** Whether new streams are ended at once. */
  refusesStreams = false;
  /** Whose load clients are asked for; undefined = there is no such service. */
  lrsClusters: readonly string[] | undefined;
  readonly loadReports: LoadReport[] = [];
  /** When streams were opened, in milliseconds. */
  readonly openedAtMs: number[] = [];
  readonly methods: string[] = [];
  /** Other methods that it has, by their paths. */
  readonly services = new Map<string, (call: GrpcCall) => GrpcCallListener>();
  readonly #sessions = new Set<Session>();
  #server: GrpcServer | undefined;
  #nonces = 0;

  static async start(port = 0): Promise<IndependentAds> {
    const server = new IndependentAds();
    await server.listen(port);
    return server;
  }

  get port(): number {
    if (this.#server === undefined) throw new Error('the server is down');
    return this.#server.port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get streams(): number {
    return this.#sessions.size;
  }

  async listen(port: number): Promise<void> {
    this.#server = await serveGrpc((call) => this.#accept(call), port);
  }

  /** Sends every client what changed, in the order that makes before it breaks. */
  publish(): void {
    for (const session of this.#sessions) session.push();
  }

  /** Does something to every open stream. */
  each(act: (call: GrpcCall) => void): void {
    for (const { call } of this.#sessions) act(call);
  }

  unanswered(): string[] {
    return [...this.#sessions].flatMap((session) => session.unanswered());
  }

  async close(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  #accept(call: GrpcCall): GrpcCallListener | undefined {
    this.methods.push(call.path);
    if (call.path === LRS_METHOD && this.lrsClusters !== undefined) {
      return lrsSession(call, {
        clusters: this.lrsClusters,
        referee: this.referee,
        reports: this.loadReports,
      });
    }
    if (call.path !== METHODS.sotw && call.path !== METHODS.delta)
      return this.services.get(call.path)?.(call);
    this.openedAtMs.push(performance.now());
    const tools: SessionTools = {
      world: this.world,
      referee: this.referee,
      hostility: () => this.hostility,
      resendsOnNack: () => this.resendsOnNack,
      nonce: () => `n${++this.#nonces}`,
    };
    const session = call.path === METHODS.sotw ? new SotwSession(call, tools) : new DeltaSession(call, tools);
    if (this.refusesStreams) call.end(STATUS.UNAVAILABLE, 'not now');
    this.#sessions.add(session);
    return {
      onMessage: (message) => session.onMessage(message),
      onEnd: () => {
        this.#sessions.delete(session);
        session.onEnd();
      },
    };
  }
}
