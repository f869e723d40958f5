import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { decodeNode } from '../../codec/node.js';
import type { Node } from '../../model/node.js';
import { discovery, wkt } from '../../proto/xds.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { ResourceSet } from '../compile/resource-set.js';
import { PUSH_ORDER, type ResourceEncoder, servedType } from './resources.js';
import type { TypeStatus } from './status.js';
import { MAX_NAMES, type PendingResponse, Subscription } from './subscription.js';

/** What a session works with. */
export interface SessionTools {
  readonly resourcesFor: (node: Node) => ResourceSet;
  readonly encoder: ResourceEncoder;
  readonly logger: Logger;
  /** The client named itself, or changed what it says of itself. */
  readonly onNode: (node: Node) => void;
  /** Puts bytes on the wire; false asks to wait for `writable`. */
  readonly write: (bytes: Uint8Array) => boolean;
  /** True while a client that had configuration before must not get less than it had (after our restart). */
  readonly holdsBack: () => boolean;
}

const WORST: readonly TypeStatus['state'][] = ['NACKED', 'STALE', 'NOT SENT', 'SYNCED'];

/**
 * One ADS stream, state of the world, without its socket. A slow client is never sent an overtaken state: what is
 * due is worked out when it can take it.
 */
export class ClientSession {
  readonly #tools: SessionTools;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #knownVersions = new Set<string>();
  #node: Node | undefined;
  #nonce = 0;
  #blocked = false;
  #isReturning = false;

  constructor(tools: SessionTools) {
    this.#tools = tools;
  }

  get node(): Node | undefined {
    return this.#node;
  }

  /**
   * Takes one request.
   * @throws MeshError `INMESH_XDS_DECODE` when it breaks the protocol: the stream must end.
   */
  receive(bytes: Uint8Array): void {
    const request = decodeRequest(bytes);
    if (request.node !== undefined) this.#named(decodeNode(request.node));
    if (this.#node === undefined) throw broken('the first request of a stream must carry the node');
    const type = servedType(request.typeUrl);
    if (type === undefined) {
      // A client may ask for types that this server does not have; silence is the protocol's answer.
      this.#tools.logger.debug({ client: this.#node.id, type: request.typeUrl }, 'type is not served');
      return;
    }
    if (request.resourceNames.length > MAX_NAMES) throw broken(`more than ${MAX_NAMES} resource names`);
    if (request.versionInfo !== '' && !this.#knownVersions.has(request.versionInfo)) this.#isReturning = true;
    let subscription = this.#subscriptions.get(type.typeUrl);
    if (subscription === undefined) {
      subscription = new Subscription(type);
      this.#subscriptions.set(type.typeUrl, subscription);
    }
    const error = request.errorDetail?.message;
    const outcome = subscription.receive({
      names: request.resourceNames,
      nonce: request.responseNonce,
      error,
    });
    if (outcome === 'nack') {
      this.#tools.logger.warn(
        { client: this.#node.id, type: type.short, error },
        'a client refused configuration',
      );
    }
    this.push();
  }

  /** Sends whatever is due, in the order that makes before it breaks. */
  push(): void {
    if (this.#blocked || this.#node === undefined) return;
    if (this.#isReturning && this.#tools.holdsBack()) return;
    const set = this.#tools.resourcesFor(this.#node);
    for (const type of PUSH_ORDER) {
      const subscription = this.#subscriptions.get(type.typeUrl);
      const response = subscription?.next(set, this.#tools.encoder, () => String(++this.#nonce));
      if (response === undefined) continue;
      this.#knownVersions.add(response.version);
      if (!this.#tools.write(encodeResponse(response))) {
        this.#blocked = true;
        return;
      }
    }
  }

  /** The client takes data again. */
  writable(): void {
    this.#blocked = false;
    this.push();
  }

  /** State per type, and of the client as a whole. */
  status(): { readonly state: TypeStatus['state']; readonly types: readonly TypeStatus[] } {
    const types = [...this.#subscriptions.values()].map((subscription) => subscription.status());
    const state = WORST.find((worst) => types.some((type) => type.state === worst)) ?? 'NOT SENT';
    return { state, types };
  }

  #named(node: Node): void {
    this.#node = node;
    this.#tools.onNode(node);
  }
}

function decodeRequest(bytes: Uint8Array): discovery.DiscoveryRequest {
  try {
    return fromBinary(discovery.DiscoveryRequestSchema, bytes);
  } catch (cause) {
    throw broken(`no DiscoveryRequest: ${messageOf(cause)}`);
  }
}

function encodeResponse({ type, version, nonce, resources }: PendingResponse): Uint8Array {
  const message = create(discovery.DiscoveryResponseSchema, {
    versionInfo: version,
    typeUrl: type.typeUrl,
    nonce,
    resources: resources.map(({ bytes }) => create(wkt.AnySchema, { typeUrl: type.typeUrl, value: bytes })),
  });
  return toBinary(discovery.DiscoveryResponseSchema, message);
}

function broken(what: string): MeshError {
  return new MeshError('INMESH_XDS_DECODE', `the client broke the xDS protocol: ${what}`);
}
