import { create, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { handleBidiStreamingCall, handleUnaryCall } from '@grpc/grpc-js';
import { encodeNode } from '../../codec/node.js';
import { SECRET_TYPE_URL } from '../../codec/secret.js';
import { readMessage } from '../../proto/read-message.js';
import { admin, status, wkt } from '../../proto/xds.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import { isLoopbackPeer } from '../ca/peer-address.js';
import type { CallerOf, IncomingCall } from './caller.js';
import type { Ledger } from './ledger.js';
import { nodesChosen } from './node-matcher.js';
import { type ResourceState, resourceStates } from './resource-states.js';
import { bytesMethod, type GrpcService, type Stream } from './xds-services.js';
import type { Connected } from './xds-stream.js';

const STATUS_INVALID_ARGUMENT = 3;
const STATUS_PERMISSION_DENIED = 7;
const STATUS_RESOURCE_EXHAUSTED = 8;

/** An answer about more than that has to be asked for in parts. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** About what a resource takes besides its content. */
const ENTRY_BYTES = 200;

export interface ClientStatusOptions {
  readonly connected: () => Iterable<Connected>;
  readonly callerOf: CallerOf;
}

/** CSDS: what each connected client has, as far as the caller may see it. */
export function createClientStatusService({ connected, callerOf }: ClientStatusOptions): GrpcService {
  const name = 'envoy.service.status.v3.ClientStatusDiscoveryService';
  const answer = (request: Uint8Array, call: IncomingCall) => {
    const caller = callerOf(call);
    if (caller === undefined && !isLoopbackPeer(call.getPeer())) {
      throw new MeshError('INMESH_CA_REFUSED', 'a caller from another machine has to show a certificate');
    }
    // With a certificate a caller sees what its own identity sees; on this machine, everything.
    const visible = [...connected()].filter(
      ({ spiffeId }) => caller === undefined || spiffeId === caller.spiffeId,
    );
    return answerClientStatus(request, visible);
  };
  const fetch: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    try {
      callback(null, answer(call.request, call));
    } catch (error) {
      callback(failure(error));
    }
  };
  const stream: handleBidiStreamingCall<Buffer, Buffer> = (call: Stream) => {
    call.on('data', (request: Buffer) => {
      try {
        // An answer at a time: who does not read them is not read either.
        if (call.write(answer(request, call))) return;
        call.pause();
        call.once('drain', () => call.resume());
      } catch (error) {
        call.emit('error', failure(error));
      }
    });
    call.on('end', () => call.end());
    call.on('error', () => {});
  };
  return {
    definition: {
      StreamClientStatus: bytesMethod(name, 'StreamClientStatus', true),
      FetchClientStatus: bytesMethod(name, 'FetchClientStatus', false),
    },
    implementation: { StreamClientStatus: stream, FetchClientStatus: fetch },
  };
}

function failure(error: unknown): { readonly code: number; readonly details: string } {
  const details = messageOf(error);
  if (error instanceof TooMuch) return { code: STATUS_RESOURCE_EXHAUSTED, details };
  const isForbidden = MeshError.is(error) && error.code === 'INMESH_CA_REFUSED';
  return { code: isForbidden ? STATUS_PERMISSION_DENIED : STATUS_INVALID_ARGUMENT, details };
}

/** Matchers of nodes. */
const MAX_REQUEST_BYTES = 64 * 1024;

class TooMuch extends Error {
  override readonly name = 'TooMuch';
}

function answerClientStatus(request: Uint8Array, clients: readonly Connected[]): Buffer {
  if (request.length > MAX_REQUEST_BYTES)
    throw new TooMuch(`the request has more than ${MAX_REQUEST_BYTES} bytes`);
  const { nodeMatchers, excludeResourceContents } = readMessage(status.ClientStatusRequestSchema, request);
  const isChosen = nodesChosen(nodeMatchers);
  const answer = create(status.ClientStatusResponseSchema);
  let left = MAX_ANSWER_BYTES;
  for (const { session } of clients) {
    const { node } = session;
    if (node === undefined || !isChosen(node)) continue;
    const config = create(status.ClientConfigSchema, { node: encodeNode(node) });
    for (const { ledger } of session.channels) left = describe(ledger, excludeResourceContents, config, left);
    answer.config.push(config);
  }
  return Buffer.from(toBinary(status.ClientStatusResponseSchema, answer));
}

/** Adds the resources of one type. Returns how much room is left. */
function describe(ledger: Ledger, isBrief: boolean, config: status.ClientConfig, room: number): number {
  // Nobody needs to see secrets to know whether they came.
  const isBare = isBrief || ledger.type.typeUrl === SECRET_TYPE_URL;
  let left = room;
  for (const state of resourceStates(ledger)) {
    config.genericXdsConfigs.push(genericConfig(ledger, state, isBare));
    left -= ENTRY_BYTES + (isBare ? 0 : (state.resource?.bytes.length ?? 0));
    if (left < 0) throw new TooMuch('the answer is too large: choose nodes, or leave contents out');
  }
  return left;
}

function genericConfig(
  { type }: Ledger,
  { name, resource, state, refusal }: ResourceState,
  isBare: boolean,
): status.ClientConfig_GenericXdsConfig {
  const config = create(status.ClientConfig_GenericXdsConfigSchema, {
    typeUrl: type.typeUrl,
    name,
    versionInfo: resource?.hash ?? '',
    configStatus: configStatusOf(state),
    clientStatus: clientStatusOf(state),
  });
  if (resource !== undefined && !isBare)
    config.xdsConfig = create(wkt.AnySchema, { typeUrl: type.typeUrl, value: resource.bytes });
  if (refusal !== undefined) {
    config.errorState = create(admin.UpdateFailureStateSchema, {
      details: refusal.error,
      versionInfo: refusal.hash,
      lastUpdateAttempt: timestampFromMs(refusal.atMs),
    });
  }
  return config;
}

function configStatusOf(state: ResourceState['state']): status.ConfigStatus {
  const { SYNCED, NOT_SENT, STALE, ERROR } = status.ConfigStatus;
  return { accepted: SYNCED, unanswered: STALE, refused: ERROR, absent: NOT_SENT }[state];
}

function clientStatusOf(state: ResourceState['state']): admin.ClientResourceStatus {
  const { ACKED, REQUESTED, NACKED, DOES_NOT_EXIST } = admin.ClientResourceStatus;
  return { accepted: ACKED, unanswered: REQUESTED, refused: NACKED, absent: DOES_NOT_EXIST }[state];
}
