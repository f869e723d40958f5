import { create, toBinary } from '@bufbuild/protobuf';
import type {
  OpenReportStream,
  ReportListener,
  ReportStream,
  ReportTarget,
} from '../../cluster/orca/report-stream.js';
import type { EndpointTransport } from '../../cluster/transport.js';
import { transportOptions } from '../../cluster/transport-options.js';
import { encodeDuration } from '../../codec/duration.js';
import { decodeLoadReport } from '../../codec/load-report.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../model/upstream-protocol.js';
import { orcaService } from '../../proto/xds.js';
import { Abort } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import { messageOf } from '../../runtime/errors.js';
import { bytesBody, discardBody } from '../../service/body.js';
import { createExchange } from '../../service/context.js';
import { httpToGrpcStatus } from '../../service/grpc-call.js';
import { GrpcFrames, grpcFrame } from '../../service/grpc-frames.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request, Response } from '../../service/service.js';
import { ignore } from '../health/exchange.js';
import { STREAM_REPORTS } from './report-wire.js';

/** Envoy: a longer report is none. */
const MAX_REPORT_BYTES = 64 * 1024;
const UNIMPLEMENTED = 12;

/** Asks hosts for reports of their load over gRPC (gRFC A51), with the TLS of their cluster. */
export function reportStreams(clock: Clock): OpenReportStream {
  return (target, listener) => new GrpcReportStream(target, listener, clock);
}

class GrpcReportStream implements ReportStream {
  readonly #listener: ReportListener;
  readonly #transport: EndpointTransport;
  readonly #abort = new Abort();
  readonly #frames = new GrpcFrames(MAX_REPORT_BYTES);
  #isOver = false;

  constructor(target: ReportTarget, listener: ReportListener, clock: Clock) {
    this.#listener = listener;
    this.#transport = openTransport(target);
    this.#transport.service(this.#request(target, clock)).then(
      (response) => this.#answered(response),
      (error: unknown) => this.#end(messageOf(error)),
    );
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#abort.abort(new Error('nobody needs the reports any more'));
    this.#transport.close().catch(ignore);
  }

  #request({ cluster, host, periodMs }: ReportTarget, clock: Clock): Request {
    const message = create(orcaService.OrcaLoadReportRequestSchema);
    if (periodMs > 0) message.reportInterval = encodeDuration(periodMs);
    const context = createExchange('outbound', clock.now(), 0);
    context.clusterName = cluster.name;
    // Envoy: the endpoint's name, where it has one.
    const authority = host.hostname === '' ? host.address : host.hostname;
    return {
      method: 'POST',
      scheme: cluster.tls === undefined ? 'http' : 'https',
      authority,
      path: STREAM_REPORTS,
      headers: HeaderMap.from([
        ['host', authority],
        ['te', 'trailers'],
        ['content-type', 'application/grpc'],
      ]),
      body: bytesBody(grpcFrame(toBinary(orcaService.OrcaLoadReportRequestSchema, message))),
      abort: this.#abort,
      context,
    };
  }

  #answered(response: Response): void {
    const { status, headers, body } = response;
    const isGrpc = status === 200 && headers.get('content-type')?.startsWith('application/grpc') === true;
    if (!isGrpc || body.kind !== 'push') {
      this.#complete(response, headers.get('grpc-status'));
      discardBody(body);
      return;
    }
    body.attach({
      data: (chunk) => this.#take(chunk),
      end: (trailers) => this.#complete(response, trailers?.get('grpc-status') ?? headers.get('grpc-status')),
      error: (cause) => this.#end(messageOf(cause)),
    });
  }

  #take(chunk: Uint8Array): boolean {
    if (this.#isOver) return true;
    try {
      for (const message of this.#frames.feed(chunk)) {
        const report = decodeLoadReport(message);
        if (report === undefined) {
          this.#end('a report can not be read');
          break;
        }
        this.#listener.report(report);
        // Whoever heard of it may have had enough.
        if (this.#isOver) break;
      }
    } catch (error) {
      this.#end(messageOf(error));
    }
    return true;
  }

  #complete({ status }: Response, grpcStatus: string | undefined): void {
    const code = grpcStatus === undefined ? httpToGrpcStatus(status) : Number(grpcStatus);
    this.#end(`the stream ended with gRPC status ${code}`, code === UNIMPLEMENTED);
  }

  #end(message: string, isUnimplemented = false): void {
    if (this.#isOver) return;
    this.close();
    this.#listener.ended({ isUnimplemented, message });
  }
}

/** Envoy: a connection of its own; it is none of those that circuit breakers count. */
function openTransport({ cluster, host, transport }: ReportTarget): EndpointTransport {
  return transport(host.endpoint, {
    ...transportOptions(cluster, host.endpoint),
    maxConnections: 1,
    maxRequestsPerConnection: 0,
    maxConnectionDurationMs: undefined,
    isBackground: true,
    protocol: { kind: 'http2', http2: cluster.protocol?.http2 ?? DEFAULT_HTTP2_OPTIONS },
  });
}
