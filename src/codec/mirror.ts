import { create } from '@bufbuild/protobuf';
import type { MirrorPolicy } from '../model/mirror.js';
import { route } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { headerName } from './header-mutation.js';
import { at, type Path, refuse } from './path.js';
import { decodeRuntimeFraction, encodeRuntimeFraction } from './percent.js';

const mirrorFields = onlyFields(() => route.RouteAction_RequestMirrorPolicySchema, {
  enforced: [
    'cluster',
    'cluster_header',
    'runtime_fraction',
    'trace_sampled',
    'disable_shadow_host_suffix_append',
  ],
});

/** The mirror policies; undefined when there are none. */
export function decodeMirrors(
  messages: readonly route.RouteAction_RequestMirrorPolicy[],
  path: Path,
): readonly MirrorPolicy[] | undefined {
  if (messages.length === 0) return undefined;
  return messages.map((message, index) => decodeMirror(message, at(path, 'request_mirror_policies', index)));
}

function decodeMirror(message: route.RouteAction_RequestMirrorPolicy, path: Path): MirrorPolicy {
  mirrorFields(message, path);
  const { cluster, clusterHeader, runtimeFraction } = message;
  if ((cluster === '') === (clusterHeader === '')) refuse(path, 'needs one of cluster and cluster_header');
  return {
    target:
      cluster === ''
        ? { kind: 'header', name: headerName(clusterHeader, at(path, 'cluster_header')) }
        : { kind: 'cluster', name: cluster },
    fraction: runtimeFraction && decodeRuntimeFraction(runtimeFraction, at(path, 'runtime_fraction')),
    traceSampled: message.traceSampled,
    hostSuffix: !message.disableShadowHostSuffixAppend,
  };
}

/** The mirror policies as messages. */
export function encodeMirrors(
  mirrors: readonly MirrorPolicy[] | undefined,
): route.RouteAction_RequestMirrorPolicy[] {
  return (mirrors ?? []).map(({ target, fraction, traceSampled, hostSuffix }) => {
    const message = create(route.RouteAction_RequestMirrorPolicySchema, {
      ...(target.kind === 'cluster' ? { cluster: target.name } : { clusterHeader: target.name }),
      disableShadowHostSuffixAppend: !hostSuffix,
    });
    if (fraction !== undefined) message.runtimeFraction = encodeRuntimeFraction(fraction);
    if (traceSampled !== undefined) message.traceSampled = traceSampled;
    return message;
  });
}
