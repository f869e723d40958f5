import { loadFailureRateBreakers } from '../filters/failure-rate-breaker.js';
import { loadHashes } from '../runtime/hash.js';
import { version } from '../runtime/version.js';
import { loadOtelMetrics } from '../telemetry/otel-metrics.js';
import { loadSpans } from '../telemetry/spans.js';
import { inboundScope } from './inbound-scope.js';
import { type MeshTools, RunningMesh } from './mesh.js';
import type { ResolvedMeshOptions } from './options.js';

/** Starts the parts of a mesh; it returns at once, configuration arrives later. */
export async function startMesh(options: ResolvedMeshOptions, tools: MeshTools): Promise<RunningMesh> {
  await loadHashes();
  // The control plane may ask for one at any time.
  const breakers = await loadFailureRateBreakers(tools.clock);
  const spans = options.tracing ? await loadSpans(version) : undefined;
  const observers = [
    ...(spans === undefined ? [] : [spans.observer]),
    ...(options.otelMetrics ? [await loadOtelMetrics(version)] : []),
    ...options.observers,
  ];
  // Spans are outermost: they cover what the application's own filters do.
  const filters = spans === undefined ? options.filters : [spans.client, ...options.filters];
  const scope = inboundScope(options.propagation, spans?.scope);
  return new RunningMesh({ ...options, filters, observers }, tools, { breakers, scope });
}
