import { create } from '@bufbuild/protobuf';
import type { ChildPolicy, HostRequestSource, OverrideHostPolicy } from '../model/lb-policy.js';
import { type cluster, lbOverrideHost } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { headerName } from './header-mutation.js';
import { decodeMetadataPath, encodeMetadataPath } from './metadata-path.js';
import { at, type Path, refuse } from './path.js';

const policyFields = onlyFields(() => lbOverrideHost.OverrideHostSchema, {
  enforced: ['override_host_sources', 'selected_host_key', 'fallback_policy'],
});
const sourceFields = onlyFields(() => lbOverrideHost.OverrideHost_OverrideHostSourceSchema, {
  enforced: ['header', 'metadata'],
});

/** The policy around its `fallback_policy`. */
export function decodeOverrideHost(
  message: lbOverrideHost.OverrideHost,
  child: ChildPolicy,
  path: Path,
): OverrideHostPolicy {
  policyFields(message, path);
  const { overrideHostSources: sources, selectedHostKey } = message;
  if (sources.length === 0) refuse(at(path, 'override_host_sources'), 'must not be empty');
  return {
    kind: 'override-host',
    sources: sources.map((source, i) => decodeSource(source, at(path, 'override_host_sources', i))),
    selectedHostKey: selectedHostKey && decodeMetadataPath(selectedHostKey, at(path, 'selected_host_key')),
    child,
  };
}

function decodeSource(
  message: lbOverrideHost.OverrideHost_OverrideHostSource,
  path: Path,
): HostRequestSource {
  sourceFields(message, path);
  const { header, metadata } = message;
  if (metadata === undefined) {
    if (header === '') refuse(path, 'must have a header or metadata');
    return { kind: 'header', name: headerName(header, at(path, 'header')) };
  }
  if (header !== '') refuse(path, 'must not have both a header and metadata');
  return { kind: 'metadata', path: decodeMetadataPath(metadata, at(path, 'metadata')) };
}

/** The policy as an extension's message, around the list that says its fallback. */
export function encodeOverrideHost(
  { sources, selectedHostKey }: OverrideHostPolicy,
  child: cluster.LoadBalancingPolicy,
): lbOverrideHost.OverrideHost {
  const message = create(lbOverrideHost.OverrideHostSchema, {
    overrideHostSources: sources.map((source) =>
      source.kind === 'header' ? { header: source.name } : { metadata: encodeMetadataPath(source.path) },
    ),
    fallbackPolicy: child,
  });
  if (selectedHostKey !== undefined) message.selectedHostKey = encodeMetadataPath(selectedHostKey);
  return message;
}
