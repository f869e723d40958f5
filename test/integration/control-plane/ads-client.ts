import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ChannelCredentials, Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { encodeNode } from '../../../src/codec/node.js';
import { RESOURCE_TYPES } from '../../../src/codec/resource-types.js';
import type { Node } from '../../../src/model/node.js';
import { discovery, rpc } from '../../../src/proto/xds.js';

type Short = (typeof RESOURCE_TYPES)[number]['short'];

/** A response as a test looks at it. */
export interface Seen {
  readonly type: Short;
  readonly version: string;
  readonly nonce: string;
  readonly resources: ReadonlyMap<string, unknown>;
}

const identity = (bytes: Buffer) => bytes;
const PATH = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';

/** A client of one stream that does exactly what a test says. */
export class AdsClient {
  readonly seen: Seen[] = [];
  readonly #client: Client;
  readonly #stream: ClientDuplexStream<Buffer, Buffer>;
  readonly #waiting = new Set<() => void>();
  #taken = 0;
  status: { readonly code: number; readonly details: string } | undefined;

  constructor(target: string, channel: ChannelCredentials = credentials.createInsecure(), path = PATH) {
    // A process of its own would have a connection of its own.
    this.#client = new Client(target, channel, { 'grpc.use_local_subchannel_pool': 1 });
    this.#stream = this.#client.makeBidiStreamRequest(path, identity, identity);
    this.#stream.on('data', (bytes: Buffer) => this.#take(bytes));
    this.#stream.on('error', () => {});
    this.#stream.on('status', ({ code, details }) => {
      this.status = { code, details };
      for (const wake of this.#waiting) wake();
    });
  }

  send(request: {
    readonly type: Short;
    readonly node?: Node;
    readonly names?: readonly string[];
    readonly version?: string;
    readonly nonce?: string;
    readonly error?: string;
  }): void {
    const { node, names = [], version = '', nonce = '', error } = request;
    const message = create(discovery.DiscoveryRequestSchema, {
      typeUrl: typeOf(request.type).typeUrl,
      resourceNames: [...names],
      versionInfo: version,
      responseNonce: nonce,
    });
    if (node !== undefined) message.node = encodeNode(node);
    if (error !== undefined) message.errorDetail = create(rpc.StatusSchema, { code: 13, message: error });
    this.#stream.write(Buffer.from(toBinary(discovery.DiscoveryRequestSchema, message)));
  }

  /** Says what Istio's agents say of the workload that they probe: an error is what is wrong with it. */
  sendHealth(error?: string): void {
    const message = create(discovery.DiscoveryRequestSchema, {
      typeUrl: 'type.googleapis.com/istio.v1.HealthInformation',
    });
    if (error !== undefined) message.errorDetail = create(rpc.StatusSchema, { code: 14, message: error });
    this.#stream.write(Buffer.from(toBinary(discovery.DiscoveryRequestSchema, message)));
  }

  /** Accepts a response, keeping the names. */
  ack({ type, version, nonce }: Seen, names: readonly string[] = []): void {
    this.send({ type, version, nonce, names });
  }

  /** The next response that no one has taken yet. */
  async next(): Promise<Seen> {
    await this.#until(() => this.seen.length > this.#taken);
    const seen = this.seen[this.#taken++];
    if (seen === undefined) throw new Error(`the stream ended: ${JSON.stringify(this.status)}`);
    return seen;
  }

  /** The end of the stream. */
  async ended(): Promise<number> {
    await this.#until(() => false);
    return this.status?.code ?? -1;
  }

  /** Takes nothing in any more: what comes fills the window. */
  stopReading(): void {
    this.#stream.pause();
  }

  close(): void {
    this.#stream.cancel();
    this.#client.close();
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds() && this.status === undefined) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  #take(bytes: Buffer): void {
    const { typeUrl, versionInfo, nonce, resources } = fromBinary(discovery.DiscoveryResponseSchema, bytes);
    const type = RESOURCE_TYPES.find((one) => one.typeUrl === typeUrl);
    if (type === undefined) throw new Error(`an unknown type came: ${typeUrl}`);
    const decoded = resources.map(({ value }) => type.decode(value));
    this.seen.push({
      type: type.short,
      version: versionInfo,
      nonce,
      resources: new Map(decoded.map(({ name, resource }) => [name, resource])),
    });
    for (const wake of this.#waiting) wake();
  }
}

function typeOf(short: Short) {
  const type = RESOURCE_TYPES.find((one) => one.short === short);
  if (type === undefined) throw new Error(short);
  return type;
}
