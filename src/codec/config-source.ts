import { create } from '@bufbuild/protobuf';
import { core } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';

const sourceFields = onlyFields(() => core.ConfigSourceSchema, {
  enforced: ['ads', 'self', 'resource_api_version'],
  // How long to wait before the resource counts as missing; the xDS client has one such time for all.
  ignored: ['initial_fetch_timeout'],
});

/** Refuses a source of further resources that is not the stream which sent this one. */
export function checkConfigSource(source: core.ConfigSource | undefined, path: Path): void {
  const given = required(source, path);
  sourceFields(given, path);
  if (given.configSourceSpecifier.case === undefined) refuse(path, 'must be ads or self');
  if (given.resourceApiVersion === core.ApiVersion.V2) refuse(at(path, 'resource_api_version'), 'must be V3');
}

/** "From the aggregated stream that sent this". */
export function adsSource(): core.ConfigSource {
  return create(core.ConfigSourceSchema, {
    configSourceSpecifier: { case: 'ads', value: create(core.AggregatedConfigSourceSchema) },
    resourceApiVersion: core.ApiVersion.V3,
  });
}
