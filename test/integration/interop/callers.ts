import * as grpc from '@grpc/grpc-js';
import { meshChannel } from '../../../src/bindings/grpc/mesh-client.js';
import type { Mesh } from '../../../src/index.js';
import type { Json } from './ads/json.js';
import { type Backend, startBackend } from './backends.js';
import { startGrpcBackend } from './grpc-backends.js';

/** Kinds of failure that HTTP and gRPC say in their own way. */
export type Failure = 'unavailable' | 'overflow' | 'aborted' | 'late' | 'bug';

/** A call: where to, and what it carries. */
export interface CallSpec {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What the backend is to fail with. */
  readonly failure?: Failure;
}

/** What came of it: the backend's name, or the code of the failure behind `!`. */
export interface Outcome {
  readonly text: string;
  /** The cookie that the answer sets. */
  readonly cookie: string | undefined;
}

/** A server that says its name. */
export interface Served {
  readonly port: number;
  readonly calls: () => number;
  /** From now on every call fails, or none does any more. */
  break(failure: Failure | undefined): void;
  close(): unknown;
}

/** One kind of client of our SDK, with servers to call. */
export interface Caller {
  readonly name: string;
  readonly port: number;
  /** How a failure reads. */
  readonly codes: Readonly<Record<Failure, string>>;
  /** Fields of clusters for servers of this kind. */
  readonly cluster: { readonly [field: string]: Json };
  readonly abort: { readonly [field: string]: Json };
  serve(name: string): Promise<Served>;
  call(mesh: Mesh, host: string, spec?: CallSpec): Promise<Outcome>;
  close(): void;
}

const HTTP_FAILURES = { unavailable: 503, overflow: 503, aborted: 418, late: 504, bug: 501 };

/** `mesh.fetch` and servers of node:http. */
export function httpCaller(): Caller {
  return {
    name: 'HTTP',
    port: 80,
    codes: codesOf(HTTP_FAILURES),
    cluster: {},
    abort: { http_status: 418 },
    async serve(name) {
      let broken: Failure | undefined;
      const backend: Backend = await startBackend(name, (request, response) => {
        const failure = broken ?? (request.headers['x-failure'] as Failure | undefined);
        const reply = () => {
          if (failure !== undefined) response.writeHead(HTTP_FAILURES[failure]);
          response.end(name);
        };
        const delayMs = Number(request.headers['x-delay'] ?? 0);
        if (delayMs > 0) setTimeout(reply, delayMs);
        else reply();
      });
      return {
        port: backend.port,
        calls: () => backend.requests,
        break(failure) {
          broken = failure;
        },
        close: () => backend.close(),
      };
    },
    async call(mesh, host, { path = '/interop.Echo/Say', headers = {}, failure } = {}) {
      const response = await mesh.fetch(`http://${host}${path}`, {
        headers: { ...headers, ...(failure !== undefined && { 'x-failure': failure }) },
      });
      const text = await response.text();
      const cookie = response.headers.get('set-cookie')?.split(';')[0];
      return { text: response.status === 200 ? text : `!${response.status}`, cookie };
    },
    close() {},
  };
}

const GRPC_FAILURES: Readonly<Record<Failure, number>> = {
  unavailable: grpc.status.UNAVAILABLE,
  overflow: grpc.status.UNAVAILABLE,
  aborted: grpc.status.ABORTED,
  late: grpc.status.DEADLINE_EXCEEDED,
  bug: grpc.status.UNIMPLEMENTED,
};

/** A client of grpc-js over the mesh and servers of grpc-js. */
export function grpcCaller(): Caller {
  const clients = new Map<string, grpc.Client>();
  const bytes = (value: Buffer) => value;
  const clientOf = (mesh: Mesh, host: string) => {
    const known = clients.get(host);
    if (known !== undefined) return known;
    const target = `${host}:80`;
    const made = new grpc.Client(target, grpc.credentials.createInsecure(), {
      channelOverride: meshChannel(mesh, target),
    });
    clients.set(host, made);
    return made;
  };
  return {
    name: 'gRPC',
    port: 80,
    codes: codesOf(GRPC_FAILURES),
    cluster: {},
    abort: { grpc_status: grpc.status.ABORTED },
    async serve(name) {
      const backend = await startGrpcBackend(name);
      return {
        port: backend.port,
        calls: () => backend.calls,
        break(failure) {
          backend.failsWith = failure === undefined ? undefined : GRPC_FAILURES[failure];
        },
        close: () => backend.close(),
      };
    },
    call(mesh, host, { path = '/interop.Echo/Say', headers = {}, failure } = {}) {
      const metadata = new grpc.Metadata();
      for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
      if (failure !== undefined) metadata.set('x-fail', String(GRPC_FAILURES[failure]));
      return new Promise((resolve) => {
        let cookie: string | undefined;
        clientOf(mesh, host)
          .makeUnaryRequest(path, bytes, bytes, Buffer.from('hello'), metadata, {}, (error, answer) => {
            resolve({ text: error === null ? String(answer) : `!${error.code}`, cookie });
          })
          .on('metadata', (head) => {
            cookie = head.get('set-cookie').map(String)[0]?.split(';')[0];
          });
      });
    },
    close() {
      for (const client of clients.values()) client.close();
    },
  };
}

function codesOf(codes: Readonly<Record<Failure, number>>): Caller['codes'] {
  const { unavailable, overflow, aborted, late, bug } = codes;
  return {
    unavailable: `!${unavailable}`,
    overflow: `!${overflow}`,
    aborted: `!${aborted}`,
    late: `!${late}`,
    bug: `!${bug}`,
  };
}
