import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { ConnectionFacts, InboundChain, InboundPolicy } from '../../mesh/inbound-types.js';
import type { ClientHello } from '../../mesh/tcp/listener.js';
import type { ConnectionInfo } from '../../service/connection.js';
import type { InboundPeer } from './connection.js';
import { connectionInfo } from './connection-info.js';
import { StreamSocket } from './http2/stream-socket.js';

/** One end of a connection, or of a stream of one. */
export interface ConnectionEnd {
  readonly socket: Duplex;
  /** Undefined on a plaintext connection. */
  readonly peer: InboundPeer | undefined;
}

/** What is known about a connection whose chain was chosen, and the choice. */
interface Chosen {
  readonly facts: ConnectionFacts;
  policy: InboundPolicy | undefined;
  chain: InboundChain | undefined;
}

const known = new WeakMap<Duplex, Chosen>();

/** Which chain a policy has for a connection; undefined = none takes it. It is chosen once per connection and policy. */
export function chainOf(policy: InboundPolicy, { socket, peer }: ConnectionEnd): InboundChain | undefined {
  if (policy.choose === undefined) {
    if (peer !== undefined) return suited(policy.tls, peer);
    // Own TLS passes where plaintext does, and by a chain of its own.
    return policy.plaintext ?? (policy.tls?.passesTls === true ? policy.tls : undefined);
  }
  const carrier = socket instanceof StreamSocket ? socket.carrier : socket;
  let chosen = known.get(carrier);
  if (chosen === undefined) {
    // It came while nobody asked for more than TLS or not.
    const facts = connectionFacts(connectionInfo(carrier), peer !== undefined, negotiated(carrier));
    chosen = { facts, policy: undefined, chain: undefined };
    known.set(carrier, chosen);
  }
  return suited(choice(chosen, policy), peer);
}

/** A chain that came to ask for more than its client has proved does not go on with it. */
function suited(chain: InboundChain | undefined, peer: InboundPeer | undefined): InboundChain | undefined {
  return peer === undefined || chain?.tls === undefined || peer.isGoodFor(chain.tls) ? chain : undefined;
}

/** The same for a connection that has not begun: `hello` is what its client says before the handshake. */
export function chainFor(
  policy: InboundPolicy,
  socket: Duplex,
  hello: ClientHello | undefined,
): InboundChain | undefined {
  if (policy.choose === undefined) return hello === undefined ? policy.plaintext : policy.tls;
  const facts = connectionFacts(connectionInfo(socket), hello !== undefined, hello);
  const chosen: Chosen = { facts, policy: undefined, chain: undefined };
  known.set(socket, chosen);
  return choice(chosen, policy);
}

/** What was said below TLS holds for the TLS socket. */
export function sameConnection(socket: TLSSocket, below: Duplex): void {
  const chosen = known.get(below);
  if (chosen !== undefined) known.set(socket, chosen);
}

function choice(chosen: Chosen, policy: InboundPolicy): InboundChain | undefined {
  if (chosen.policy !== policy) {
    chosen.chain = policy.choose?.(chosen.facts);
    chosen.policy = policy;
  }
  return chosen.chain;
}

function negotiated(socket: Duplex): ClientHello | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const { servername } = socket as { servername?: string | false };
  const { alpnProtocol } = socket;
  return {
    serverName: typeof servername === 'string' ? servername.toLowerCase() : '',
    applicationProtocols: typeof alpnProtocol === 'string' ? [alpnProtocol] : [],
  };
}

/** What filter chains are chosen by. */
export function connectionFacts(
  { local, remote, directRemote }: Pick<ConnectionInfo, 'local' | 'remote' | 'directRemote'>,
  isTls: boolean,
  hello: ClientHello | undefined,
): ConnectionFacts {
  return {
    destinationPort: local?.port ?? 0,
    destinationIp: local?.address,
    serverName: hello?.serverName ?? '',
    transportProtocol: isTls ? 'tls' : 'raw_buffer',
    applicationProtocols: hello?.applicationProtocols ?? [],
    directSourceIp: directRemote?.address,
    sourceIp: remote?.address,
    sourcePort: remote?.port ?? 0,
  };
}
