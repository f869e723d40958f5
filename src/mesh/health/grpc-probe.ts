import { create, toBinary } from '@bufbuild/protobuf';
import type { Probe, ProbeResult, ProbeTarget } from '../../cluster/health/probe.js';
import type { GrpcHealthChecker } from '../../model/health-check.js';
import { readMessage } from '../../proto/read-message.js';
import { grpcHealth } from '../../proto/xds.js';
import { compileMutations, type HeaderChange } from '../../routing/header-mutation.js';
import type { Abort } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import { messageOf } from '../../runtime/errors.js';
import { bytesBody, iterateBody } from '../../service/body.js';
import { formatToolsOf } from '../../service/format/tools.js';
import { FRAME_PREFIX_BYTES, grpcFrame } from '../../service/grpc-frames.js';
import { formatGrpcTimeout } from '../../service/grpc-timeout.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request, Response } from '../../service/service.js';
import { CheckClient } from './check-client.js';
import { finished } from './exchange.js';
import { checkAuthority } from './target.js';

const PATH = '/grpc.health.v1.Health/Check';
/** An answer is a few bytes; more is none. */
const MAX_ANSWER_BYTES = 4096;

/** Checks a host by gRPC's health service (Envoy GrpcHealthCheck). */
export class GrpcProbe implements Probe {
  readonly #target: ProbeTarget;
  readonly #checker: GrpcHealthChecker;
  readonly #client: CheckClient;
  readonly #change: HeaderChange | undefined;
  readonly #frame: Uint8Array;

  constructor(target: ProbeTarget, checker: GrpcHealthChecker, clock: Clock) {
    this.#target = target;
    this.#checker = checker;
    this.#client = new CheckClient(target, clock);
    this.#change = compileMutations([{ remove: [], add: checker.metadata }], formatToolsOf(clock));
    const request = create(grpcHealth.HealthCheckRequestSchema, { service: checker.serviceName });
    this.#frame = grpcFrame(toBinary(grpcHealth.HealthCheckRequestSchema, request));
  }

  run(abort: Abort): Promise<ProbeResult> {
    return this.#client.ask(this.#request(abort), judge);
  }

  close(): void {
    this.#client.close();
  }

  #request(abort: Abort): Request {
    const authority = checkAuthority(this.#target, this.#checker.authority);
    const headers = HeaderMap.from([
      ['host', authority],
      ['te', 'trailers'],
      ['content-type', 'application/grpc'],
      ['user-agent', 'Envoy/HC'],
    ]);
    const asked = { method: 'POST', authority, path: PATH, headers, body: bytesBody(this.#frame) };
    const request = this.#client.request(asked, this.#change, abort);
    headers.set('grpc-timeout', formatGrpcTimeout(this.#target.check.timeoutMs));
    return request;
  }
}

/** Envoy: everything that is no network failure fails the host at once, and only SERVING passes. */
async function judge(response: Response): Promise<ProbeResult> {
  const { status, headers } = response;
  const bytes = await read(response);
  const trailers = await finished(response);
  if (status !== 200) return failed(`the HTTP status is ${status}`);
  if (!(headers.get('content-type') ?? '').startsWith('application/grpc'))
    return failed('the answer is no gRPC');
  const grpcStatus = trailers?.get('grpc-status') ?? headers.get('grpc-status');
  if (grpcStatus !== '0') return failed(`the gRPC status is ${grpcStatus ?? 'missing'}`);
  const serving = servingStatus(bytes);
  if (typeof serving === 'string') return failed(serving);
  const { SERVING } = grpcHealth.HealthCheckResponse_ServingStatus;
  if (serving === SERVING) return { kind: 'passed', degraded: false };
  return failed(`the service is ${grpcHealth.HealthCheckResponse_ServingStatus[serving] ?? serving}`);
}

/** The status in the one message that an answer has, or what is wrong with it. */
function servingStatus(bytes: Buffer): grpcHealth.HealthCheckResponse_ServingStatus | string {
  if (bytes.length < FRAME_PREFIX_BYTES || bytes.length !== FRAME_PREFIX_BYTES + bytes.readUInt32BE(1)) {
    return 'the answer is not one message';
  }
  if (bytes[0] !== 0) return 'the answer is compressed';
  try {
    return readMessage(grpcHealth.HealthCheckResponseSchema, bytes.subarray(FRAME_PREFIX_BYTES)).status;
  } catch (error) {
    return `the answer is no HealthCheckResponse: ${messageOf(error)}`;
  }
}

async function read({ body }: Response): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of iterateBody(body)) {
    size += chunk.byteLength;
    if (size <= MAX_ANSWER_BYTES) chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function failed(message: string): ProbeResult {
  return { kind: 'failed', failure: 'ACTIVE', isRetriable: false, excludes: false, message };
}
