import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import type { InboundChain, InboundPolicy } from '../../mesh/inbound.js';
import { inboundPolicyOf } from '../../mesh/inbound-policy.js';
import type { RunningMesh } from '../../mesh/mesh.js';
import type { ServedPort } from '../../mesh/served-ports.js';
import { messageOf } from '../../runtime/errors.js';
import { connectionFacts } from '../http/connection-chain.js';
import type { Mesh } from '../join.js';
import { servingOf } from '../serving.js';
import type { CallTools } from './call.js';
import { type CallPeer, CallPeers } from './call-peer.js';
import { InterceptedCall } from './intercepted-call.js';
import { connectionOf, interceptedRequest } from './intercepted-request.js';

/** Which port of the mesh the server with the interceptors is. */
export interface MeshInterceptorOptions {
  /** The port that the server is bound to. */
  readonly port: number;
  /** Name of the service's port that it implements, when the service has several. */
  readonly portName?: string;
}

/** Numbers that are remembered; when there are more, all begin anew. */
const MAX_CONNECTIONS = 10_000;
const { UNAVAILABLE } = { UNAVAILABLE: 14 };

/**
 * Interceptors for a server that its owner builds, best with {@link meshServerCredentials}: they run calls through the
 * filters of the port's inbound listener, measure them, and register the port until the mesh is closed. What lies below
 * calls is out of their reach: use {@link meshServer} where plaintext and mTLS share a port, where filters want bytes, or
 * where connections have limits.
 */
export function meshServerInterceptors(mesh: Mesh, options: MeshInterceptorOptions): ServerInterceptor[] {
  const serving = servingOf(mesh);
  const port = new InterceptedPort(serving.mesh, options);
  serving.add(port);
  return [(method, call) => port.intercept(method.path, call)];
}

class InterceptedPort {
  readonly #mesh: RunningMesh;
  readonly #served: ServedPort;
  readonly #peers: CallPeers;
  readonly #tools: CallTools;
  readonly #answerLines: readonly (readonly [string, string])[];
  readonly #unsubscribe: () => void;
  #policy: InboundPolicy;
  /** Numbers of connections by the other end. */
  readonly #connections = new Map<string, number>();
  #lastConnection = 0;

  constructor(mesh: RunningMesh, { port, portName = '' }: MeshInterceptorOptions) {
    this.#mesh = mesh;
    const { clock, random, logger, observer, scope, identity, peers } = mesh;
    this.#tools = { clock, random, logger, observer, scope };
    this.#peers = new CallPeers(identity, clock);
    this.#answerLines = [
      ['x-envoy-peer-metadata', peers.metadata],
      ['x-envoy-peer-metadata-id', peers.nodeId],
    ];
    const served: ServedPort = { address: mesh.address, port, portName, protocol: 'grpc' };
    this.#served = served;
    let current = mesh.inbound(served);
    this.#policy = inboundPolicyOf(current, mesh);
    this.#unsubscribe = mesh.onApplied(() => {
      const next = mesh.inbound(served);
      if (next === current) return;
      current = next;
      this.#policy = inboundPolicyOf(next, mesh);
    });
    mesh.announce(served).catch((error: unknown) => {
      logger.error({ error: messageOf(error) }, 'a served port could not be announced');
    });
  }

  async close(): Promise<void> {
    await this.#mesh.withdraw(this.#served);
    this.#unsubscribe();
  }

  intercept(path: string, call: ServerInterceptingCallInterface): ServerInterceptingCall {
    let running: InterceptedCall | undefined;
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, goOn) => {
            running = this.#arrived(path, call, metadata);
            running?.begin(goOn);
          },
          onReceiveMessage: (message, goOn) => running?.receives(() => goOn(message)),
          onReceiveHalfClose: (goOn) => running?.receivedAll(goOn),
          onCancel: () => running?.cancelled(),
        });
      },
      sendMetadata: (metadata, next) => next(running?.sendHead(metadata) ?? metadata),
      sendMessage: (message, next) => {
        running?.sends();
        next(message);
      },
      sendStatus: (status, next) => next(running?.sendStatus(status) ?? status),
    });
  }

  /** grpc-js does not tell one connection from another but by their ends. */
  #connectionOf(call: ServerInterceptingCallInterface): number {
    const end = call.getPeer();
    let id = this.#connections.get(end);
    if (id === undefined) {
      if (this.#connections.size >= MAX_CONNECTIONS) this.#connections.clear();
      id = ++this.#lastConnection;
      this.#connections.set(end, id);
    }
    return id;
  }

  /** Undefined when the call is refused for who makes it. */
  #arrived(
    path: string,
    call: ServerInterceptingCallInterface,
    metadata: Metadata,
  ): InterceptedCall | undefined {
    let peer: CallPeer | undefined;
    try {
      peer = this.#peers.of(call);
    } catch (error) {
      this.#tools.logger.warn({ error: messageOf(error), peer: call.getPeer() }, 'a call was refused');
      call.sendStatus({ code: UNAVAILABLE, details: 'the certificate of the caller does not hold here' });
      return undefined;
    }
    const connectionId = this.#connectionOf(call);
    const chain = this.#chainOf(call, peer, connectionId);
    if (chain === undefined) {
      const what = peer === undefined ? 'plaintext' : 'mTLS';
      call.sendStatus({ code: UNAVAILABLE, details: `${what} is not allowed here` });
      return undefined;
    }
    if (chain.tls?.clients !== undefined) {
      this.#tools.logger.warn(
        { peer: call.getPeer() },
        'a call was refused: clients are verified by the mesh here',
      );
      call.sendStatus({ code: UNAVAILABLE, details: 'clients are verified by the mesh here' });
      return undefined;
    }
    if (chain.tls?.certificate !== undefined || chain.tls?.certificateSecret !== undefined) {
      // The handshake is grpc-js's own and over: it has shown the workload's certificate.
      const what = `the certificate ${JSON.stringify(chain.tls.certificateSecret ?? 'of the listener')} can not be shown here`;
      this.#tools.logger.warn({ peer: call.getPeer() }, `a call was refused: ${what}`);
      call.sendStatus({ code: UNAVAILABLE, details: what });
      return undefined;
    }
    const readPeer = this.#mesh.peers.read;
    const head = { path, metadata, peer, connectionId, readPeer, clientCert: chain.clientCert };
    const { request, asksBack } = interceptedRequest(call, head, this.#tools);
    const answerLines = asksBack ? this.#answerLines : [];
    return new InterceptedCall(call, request, { chain, tools: this.#tools, answerLines });
  }

  #chainOf(
    call: ServerInterceptingCallInterface,
    peer: CallPeer | undefined,
    connectionId: number,
  ): InboundChain | undefined {
    const { tls, plaintext, choose } = this.#policy;
    const isTls = peer !== undefined;
    if (choose === undefined) return isTls ? tls : plaintext;
    // The name that the client asked for is not shown here.
    const hello = isTls ? { serverName: '', applicationProtocols: ['h2'] } : undefined;
    return choose(connectionFacts(connectionOf(call, peer, connectionId), isTls, hello));
  }
}
