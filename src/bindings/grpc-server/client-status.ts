import { type Server, status } from '@grpc/grpc-js';
import { messageOf } from '../../runtime/errors.js';
import type { Mesh } from '../join.js';
import { servingOf } from '../serving.js';

const SERVICE = '/envoy.service.status.v3.ClientStatusDiscoveryService/';

/** Messages stay bytes: whoever answers reads them. */
const BYTES = {
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
} as const;

const DEFINITION = {
  FetchClientStatus: {
    path: `${SERVICE}FetchClientStatus`,
    requestStream: false,
    responseStream: false,
    ...BYTES,
  },
  StreamClientStatus: {
    path: `${SERVICE}StreamClientStatus`,
    requestStream: true,
    responseStream: true,
    ...BYTES,
  },
} as const;

/**
 * Adds gRPC's client status (CSDS, gRFC A40) of a mesh to a server of grpc-js: which resources this process has, in which
 * version, and what it refused. Whoever may call the server sees the configuration.
 * @throws MeshError `INMESH_OPTION_INVALID` for what is no mesh.
 */
export function addClientStatus(server: Server, mesh: Mesh): void {
  const { admin } = servingOf(mesh).mesh;
  const answer = (request: Buffer): Buffer => Buffer.from(admin.clientStatus(request));
  server.addService(DEFINITION, {
    FetchClientStatus(
      { request }: { readonly request: Buffer },
      callback: (error: object | null, answer?: Buffer) => void,
    ) {
      try {
        callback(null, answer(request));
      } catch (error) {
        callback(refusal(error));
      }
    },
    StreamClientStatus(call: StatusCall) {
      call.on('data', (request: Buffer) => {
        try {
          call.write(answer(request));
        } catch (error) {
          call.emit('error', refusal(error));
        }
      });
      call.on('end', () => call.end());
    },
  });
}

interface StatusCall {
  on(event: 'data', listener: (request: Buffer) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  write(answer: Buffer): unknown;
  emit(event: 'error', error: object): unknown;
  end(): unknown;
}

function refusal(error: unknown): object {
  return { code: status.INVALID_ARGUMENT, details: messageOf(error) };
}
