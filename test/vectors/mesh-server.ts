import { once } from 'node:events';
import { createServer } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { attachInbound } from '../../src/bindings/http/server.js';
import { LISTENER } from '../../src/codec/resource-types.js';
import { createCompiler } from '../../src/control-plane/compile/compile.js';
import { createMeshConfig, type MeshSettings } from '../../src/control-plane/mesh/mesh-config.js';
import { staticSource } from '../../src/identity/source.js';
import { inboundPolicyOf } from '../../src/mesh/inbound-policy.js';
import type { InboundListener } from '../../src/model/listener.js';
import { systemClock } from '../../src/runtime/clock.js';
import { silentLogger } from '../../src/runtime/log.js';
import { seededRandom } from '../../src/runtime/random.js';
import { createSignal } from '../../src/runtime/signal.js';
import { nodeOf, registryOf, viewOf } from '../unit/control-plane/compile/mesh.js';

/** What a server answered; what its application saw, if it saw the request. */
export interface Answer {
  /** 0 = none, the connection or stream was ended. */
  readonly status: number;
  readonly seen: { readonly url: string; readonly headers: Readonly<Record<string, string>> } | undefined;
  readonly location: string | undefined;
}

/** A server in the mesh, by the listener that the control plane compiles for it. */
export interface MeshServer {
  readonly port: number;
  /** Sends bytes and reads until the connection ends. */
  http1(head: string): Promise<Answer>;
  /** One request of HTTP/2. */
  http2(headers: Readonly<Record<string, string>>): Promise<Answer>;
  /** Requests that the application saw. */
  readonly requests: () => number;
  close(): Promise<void>;
}

const PORT = 8080;

/** The listener of a plaintext port, over the wire and back. */
function listenerFor(config: MeshSettings, documents: string): InboundListener {
  const node = nodeOf({
    INMESH_WORKLOADS: [
      { service: 'web', address: '127.0.0.1', port: PORT, portName: 'http', tlsMode: 'disabled' },
    ],
  });
  const set = createCompiler(createMeshConfig(config)).compile(viewOf(documents), registryOf([]), node);
  const listener = set.listenerOf(`xds.istio.io/grpc/lds/inbound/127.0.0.1:${PORT}`);
  if (listener === undefined) throw new Error('there is no listener');
  const { resource } = LISTENER.decode(LISTENER.encode(listener));
  if (resource.kind !== 'inbound') throw new Error('the listener is not inbound');
  return resource;
}

/** Starts one. */
export async function startMeshServer(
  config: MeshSettings = {},
  documents = '',
): Promise<MeshServer> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    // Malformed requests are to be seen by the application only if nobody stops them.
    const { url, headers } = request;
    request.resume().on('end', () => response.end(JSON.stringify({ url, headers })));
  });
  const policy = createSignal(
    inboundPolicyOf(listenerFor(config, documents), {
      clock: systemClock,
      random: seededRandom(1),
      node: { id: 'node', cluster: 'web' },
      upstream: () => undefined,
    }),
  );
  const attachment = attachInbound(server, {
    policy,
    identity: staticSource(undefined, []),
    clock: systemClock,
    random: seededRandom(1),
    logger: silentLogger,
    observer: {},
    drainTimeoutMs: 100,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  let session: ClientHttp2Session | undefined;
  const sessionOf = () => {
    if (session === undefined || session.destroyed || session.closed) {
      session = connectHttp2(`http://127.0.0.1:${port}`);
      session.on('error', () => {});
    }
    return session;
  };
  return {
    port,
    http1: (head) => askHttp1(port, head),
    http2: (headers) => askHttp2(sessionOf(), headers),
    requests: () => requests,
    async close() {
      session?.destroy();
      server.close();
      server.closeAllConnections();
      await attachment.close();
    },
  };
}

function askHttp1(port: number, head: string): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(head, 'latin1'));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(readAnswer(Buffer.concat(chunks).toString('latin1'))));
  });
}

function readAnswer(text: string): Answer {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
  const location = /\r\nlocation: (.*)\r\n/i.exec(text)?.[1];
  const at = text.indexOf('{"url"');
  const end = text.lastIndexOf('}}');
  return {
    status,
    location,
    seen: status === 200 && at >= 0 ? JSON.parse(text.slice(at, end + 2)) : undefined,
  };
}

function askHttp2(session: ClientHttp2Session, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return new Promise((resolve) => {
    let stream: ReturnType<ClientHttp2Session['request']>;
    try {
      stream = session.request({ ...headers });
    } catch {
      // What Node's client refuses to send.
      resolve({ status: 0, seen: undefined, location: undefined });
      return;
    }
    let status = 0;
    let location: string | undefined;
    let text = '';
    stream.setEncoding('utf8');
    stream.on('response', (head) => {
      status = Number(head[':status']);
      location = head.location;
    });
    stream.on('data', (chunk: string) => {
      text += chunk;
    });
    stream.on('error', () => {});
    stream.on('close', () => {
      resolve({ status, location, seen: status === 200 && text !== '' ? JSON.parse(text) : undefined });
    });
  });
}
