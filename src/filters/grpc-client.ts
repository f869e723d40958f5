import { type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type { GrpcService } from '../model/grpc-service.js';
import { readMessage } from '../proto/read-message.js';
import { compileFormat } from '../service/format/format.js';
import { formatToolsOf, inputOf } from '../service/format/tools.js';
import { callGrpc, GrpcError } from '../service/grpc-call.js';
import type { Request } from '../service/service.js';
import type { FilterTools } from './filter.js';

/** What calls are made with. */
export type GrpcTools = Pick<FilterTools, 'clock' | 'random' | 'upstream'>;

/** A method of a gRPC service. */
export interface GrpcMethod<Input extends DescMessage, Output extends DescMessage> {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly input: Input;
  readonly output: Output;
  /** Where the service's configuration names none. */
  readonly defaultTimeoutMs: number;
}

/** Calls one method on behalf of a request; rejects with a GrpcError. */
export type GrpcClient<Input extends DescMessage, Output extends DescMessage> = (
  message: MessageShape<Input>,
  request: Request,
  cancellable?: boolean,
) => Promise<MessageShape<Output>>;

const UNAVAILABLE = 14;
const INTERNAL = 13;

/** The client of a configured service. */
export function grpcClient<Input extends DescMessage, Output extends DescMessage>(
  service: GrpcService,
  method: GrpcMethod<Input, Output>,
  tools: GrpcTools,
): GrpcClient<Input, Output> {
  const { clock, random } = tools;
  const metadata = service.initialMetadata.map(({ name, value }) => ({
    name,
    format: compileFormat(value, formatToolsOf(clock), ''),
  }));
  const authority = service.authority === '' ? service.cluster : service.authority;
  return async (message, request, cancellable = true) => {
    const upstream = tools.upstream(service.cluster);
    if (upstream === undefined) throw new GrpcError(UNAVAILABLE, `no cluster ${service.cluster}`);
    const input = inputOf(request);
    const bytes = await callGrpc(
      upstream,
      {
        authority,
        path: method.path,
        metadata: metadata.map(({ name, format }) => [name, format.text(input)] as const),
        message: toBinary(method.input, message),
        timeoutMs: service.timeoutMs ?? method.defaultTimeoutMs,
        maxBytes: service.maxReceiveBytes,
      },
      { clock, random, abort: cancellable ? request.abort : undefined },
    );
    try {
      return readMessage(method.output, bytes);
    } catch (cause) {
      throw new GrpcError(INTERNAL, 'the answer can not be read', cause);
    }
  };
}
