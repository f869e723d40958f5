import { loadFailureRateBreakers } from '../filters/failure-rate-breaker.js';
import { loadHashes } from '../runtime/hash.js';
import { version } from '../runtime/version.js';
import { loadOtelMetrics } from '../telemetry/otel-metrics.js';
import { inboundScope } from './inbound-scope.js';
import { type MeshTools, RunningMesh } from './mesh.js';
import { describeWorkload } from './node.js';
import type { ResolvedMeshOptions } from './options.js';
import { createTracing } from './tracing.js';

/** Starts the parts of a mesh; it returns at once, configuration arrives later. */
export async function startMesh(options: ResolvedMeshOptions, tools: MeshTools): Promise<RunningMesh> {
  await loadHashes();
  // The control plane may ask for one at any time.
  const breakers = await loadFailureRateBreakers(tools.clock);
  const tracing = await createTracing(options.tracing, {
    ...tools,
    origin: { nodeId: options.nodeId, zone: options.locality.zone },
    workload: describeWorkload(options),
  });
  const observers = [
    ...(tracing.observer === undefined ? [] : [tracing.observer]),
    ...(options.otelMetrics ? [await loadOtelMetrics(version)] : []),
    ...options.observers,
  ];
  const scope = inboundScope(options.propagation, tracing.scope);
  return new RunningMesh({ ...options, observers }, tools, { breakers, scope, tracing });
}
