import { create } from '@bufbuild/protobuf';
import type { LoadReporting } from '../model/load-stats.js';
import { type cluster, core } from '../proto/xds.js';
import { checkConfigSource } from './config-source.js';
import { at, type Path, refuse } from './path.js';

/** Where the load of a cluster is reported. gRFC A27: to the server that sent the cluster, or nowhere. */
export function decodeLoadReporting(
  { lrsServer, lrsReportEndpointMetrics: metrics }: cluster.Cluster,
  path: Path,
): LoadReporting | undefined {
  if (lrsServer === undefined) return undefined;
  const where = at(path, 'lrs_server');
  checkConfigSource(lrsServer, where);
  const { configSourceSpecifier: specifier } = lrsServer;
  if (specifier.case !== 'self') return refuse(where, 'must be self');
  if (specifier.value.transportApiVersion === core.ApiVersion.V2) {
    refuse(at(at(where, 'self'), 'transport_api_version'), 'must be V3');
  }
  return { metrics };
}

/** The same as fields of a cluster. */
export function encodeLoadReporting(
  reporting: LoadReporting | undefined,
): Pick<cluster.Cluster, 'lrsReportEndpointMetrics'> & { readonly lrsServer?: core.ConfigSource } {
  if (reporting === undefined) return { lrsReportEndpointMetrics: [] };
  return {
    lrsServer: create(core.ConfigSourceSchema, {
      configSourceSpecifier: { case: 'self', value: create(core.SelfConfigSourceSchema) },
      resourceApiVersion: core.ApiVersion.V3,
    }),
    lrsReportEndpointMetrics: [...reporting.metrics],
  };
}
