import { create, toBinary } from '@bufbuild/protobuf';
import type { handleBidiStreamingCall } from '@grpc/grpc-js';
import { decodeNode } from '../../codec/node.js';
import type { Node } from '../../model/node.js';
import { readMessage } from '../../proto/read-message.js';
import { type core, loadStats, wkt } from '../../proto/xds.js';
import { messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { CallerIdentity, CallerOf } from './caller.js';
import { broken } from './conversation.js';
import { checkIdentity } from './identity-check.js';
import type { ClientLoad, LoadReports } from './load-reports.js';
import { bytesMethod, type GrpcService, type Stream } from './xds-services.js';
import { failureOf } from './xds-stream.js';

export interface LoadServiceOptions {
  readonly reports: LoadReports;
  /** How often clients are asked to report, in milliseconds. */
  readonly intervalMs: number;
  readonly callerOf: CallerOf;
  /** The clusters that a node receives, for clients that do not report all by themselves. */
  readonly clustersFor: (node: Node, caller: CallerIdentity | undefined) => Iterable<string>;
  readonly logger: Logger;
}

/** About 10,000 clusters; what is in it becomes objects, many times as large. */
const MAX_REPORT_BYTES = 2 * 1024 * 1024;
const ALL_CLUSTERS = 'envoy.lrs.supports_send_all_clusters';

/** LRS: asks clients for the load of all their clusters, and collects what they report. */
export function createLoadService(options: LoadServiceOptions): GrpcService {
  const name = 'envoy.service.load_stats.v3.LoadReportingService';
  const handler: handleBidiStreamingCall<Buffer, Buffer> = (call) => serve(call, options);
  return {
    definition: { StreamLoadStats: bytesMethod(name, 'StreamLoadStats', true) },
    implementation: { StreamLoadStats: handler },
  };
}

function serve(call: Stream, options: LoadServiceOptions): void {
  const { reports, callerOf, logger } = options;
  const peer = call.getPeer();
  let client: ClientLoad | undefined;
  const finish = () => {
    client?.close();
    client = undefined;
  };
  call.on('data', (bytes: Buffer) => {
    try {
      if (bytes.length > MAX_REPORT_BYTES)
        throw broken(`a load report of more than ${MAX_REPORT_BYTES} bytes`);
      const { node: message, clusterStats } = readMessage(loadStats.LoadStatsRequestSchema, bytes);
      if (client === undefined) {
        if (message === undefined) throw broken('the first load report must carry the node');
        const node = decodeNode(message);
        const caller = callerOf(call);
        checkIdentity(node, caller, peer);
        client = reports.open(node.id);
        call.write(asked(message, node, { caller, options }));
      }
      client.add(clusterStats);
    } catch (error) {
      finish();
      logger.warn({ peer, error: messageOf(error) }, 'a load report was refused');
      call.emit('error', failureOf(error));
    }
  });
  call.on('end', () => {
    finish();
    call.end();
  });
  for (const event of ['cancelled', 'error', 'close']) call.on(event, finish);
}

/** What the client is to report. */
function asked(
  message: core.Node,
  node: Node,
  { caller, options }: { readonly caller: CallerIdentity | undefined; readonly options: LoadServiceOptions },
): Buffer {
  const sendsAll = message.clientFeatures.includes(ALL_CLUSTERS);
  const { intervalMs, clustersFor } = options;
  const answer = create(loadStats.LoadStatsResponseSchema, {
    sendAllClusters: sendsAll,
    clusters: sendsAll ? [] : [...clustersFor(node, caller)],
    loadReportingInterval: create(wkt.DurationSchema, {
      seconds: BigInt(Math.floor(intervalMs / 1_000)),
      nanos: (intervalMs % 1_000) * 1_000_000,
    }),
  });
  return Buffer.from(toBinary(loadStats.LoadStatsResponseSchema, answer));
}
