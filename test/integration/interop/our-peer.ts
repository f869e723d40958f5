import * as grpc from '@grpc/grpc-js';
import { meshChannel } from '../../../src/bindings/grpc/mesh-client.js';
import type { Mesh, MeshOptions } from '../../../src/index.js';
import { eventually, joinQuietly } from '../mesh/support.js';
import { type CallOptions, type CallResult, tallyOf } from './stock/stock-peer.js';

const bytes = (value: Buffer) => value;

/** A client of grpc-js over our SDK, which is asked as the stock client is. */
export class OurPeer {
  readonly mesh: Mesh;
  readonly #clients = new Map<string, grpc.Client>();

  private constructor(mesh: Mesh) {
    this.mesh = mesh;
  }

  static async start(options: MeshOptions): Promise<OurPeer> {
    return new OurPeer(await joinQuietly({ service: 'ours', startupTimeoutMs: 20_000, ...options }));
  }

  async calls({ target, count = 1, parallel = 1, ...call }: CallOptions): Promise<readonly CallResult[]> {
    const client = await this.#client(target);
    const results: CallResult[] = [];
    let started = 0;
    const worker = async () => {
      while (started < count) {
        started++;
        results.push(await callOnce(client, call));
      }
    };
    await Promise.all(Array.from({ length: Math.min(parallel, count) }, worker));
    return results;
  }

  async tally(options: CallOptions): Promise<Readonly<Record<string, number>>> {
    return tallyOf(await this.calls(options));
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.values()) client.close();
    await this.mesh.close();
  }

  /** The stock client asks for a name and waits for it; ours is told of all names, and has to have heard of this one. */
  async #client(target: string): Promise<grpc.Client> {
    const known = this.#clients.get(target);
    if (known !== undefined) return known;
    const origin = target.replace('xds:///', 'http://');
    await eventually(target, () => typeof this.mesh.core.lookup(origin) === 'object');
    const made = new grpc.Client(target, grpc.credentials.createInsecure(), {
      channelOverride: meshChannel(this.mesh, target),
    });
    this.#clients.set(target, made);
    return made;
  }
}

function callOnce(
  client: grpc.Client,
  { method = 'Say', metadata = {}, deadlineMs = 15_000 }: Omit<CallOptions, 'target'>,
): Promise<CallResult> {
  const sent = new grpc.Metadata();
  for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
  const begin = performance.now();
  return new Promise((resolve) => {
    const call = client.makeUnaryRequest(
      `/interop.Echo/${method}`,
      bytes,
      bytes,
      Buffer.from('hello'),
      sent,
      { deadline: Date.now() + deadlineMs },
      (error, answer) => {
        const about = { ms: performance.now() - begin, peer: call.getPeer() };
        resolve(
          error === null
            ? { code: 0, name: String(answer), ...about }
            : { code: error.code, name: error.details, ...about },
        );
      },
    );
  });
}
