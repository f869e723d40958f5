import { create } from '@bufbuild/protobuf';
import { type FilterChainMatch, MATCH_EVERYTHING, type SourceType } from '../model/filter-chain-match.js';
import type { AddressRange } from '../model/value-matcher.js';
import { type core, listener } from '../proto/xds.js';
import { networkOf } from '../runtime/ip.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';
import { decodeRange, encodeRange } from './rbac-common.js';

const matchFields = onlyFields(() => listener.FilterChainMatchSchema, {
  enforced: [
    'destination_port',
    'prefix_ranges',
    'server_names',
    'transport_protocol',
    'application_protocols',
    'direct_source_prefix_ranges',
    'source_type',
    'source_prefix_ranges',
    'source_ports',
  ],
});

/** Which connections the chain takes. */
export function decodeFilterChainMatch(
  message: listener.FilterChainMatch | undefined,
  path: Path,
): FilterChainMatch {
  if (message === undefined) return MATCH_EVERYTHING;
  matchFields(message, path);
  return {
    destinationPort: decodePort(message.destinationPort, at(path, 'destination_port')),
    destinationRanges: rangesOf(message.prefixRanges, path, 'prefix_ranges'),
    serverNames: message.serverNames.map((name, index) =>
      decodeServerName(name, at(path, 'server_names', index)),
    ),
    transportProtocol: decodeTransportProtocol(message.transportProtocol, at(path, 'transport_protocol')),
    applicationProtocols: [...message.applicationProtocols],
    directSourceRanges: rangesOf(message.directSourcePrefixRanges, path, 'direct_source_prefix_ranges'),
    sourceType: decodeSourceType(message.sourceType, at(path, 'source_type')),
    sourceRanges: rangesOf(message.sourcePrefixRanges, path, 'source_prefix_ranges'),
    sourcePorts: message.sourcePorts.map((port, index) => {
      const where = at(path, 'source_ports', index);
      return decodePort(port, where) ?? refuse(where, 'must not be empty');
    }),
  };
}

function decodePort(port: number | undefined, path: Path): number | undefined {
  if (port !== undefined && (port < 1 || port > 65_535)) refuse(path, 'must be a port number');
  return port;
}

function rangesOf(messages: readonly core.CidrRange[], path: Path, field: string): readonly AddressRange[] {
  return messages.map((range, index) => decodeRange(range, at(path, field, index)));
}

/** Envoy: a wildcard stands for whole labels at the beginning, nothing else. */
function decodeServerName(name: string, path: Path): string {
  const rest = name.startsWith('*.') ? name.slice(2) : name;
  if (rest === '' || rest.includes('*')) {
    refuse(path, `${JSON.stringify(name)} is no host name: partial wildcards are not supported`);
  }
  return name.toLowerCase();
}

function decodeTransportProtocol(protocol: string, path: Path): FilterChainMatch['transportProtocol'] {
  return protocol === 'tls' || protocol === 'raw_buffer' || protocol === ''
    ? protocol
    : refuse(path, `${JSON.stringify(protocol)} is not supported`);
}

const { ANY, SAME_IP_OR_LOOPBACK, EXTERNAL } = { ANY: 0, SAME_IP_OR_LOOPBACK: 1, EXTERNAL: 2 } as const;

function decodeSourceType(type: listener.FilterChainMatch_ConnectionSourceType, path: Path): SourceType {
  switch (type as number) {
    case ANY:
      return 'any';
    case SAME_IP_OR_LOOPBACK:
      return 'local';
    case EXTERNAL:
      return 'external';
    default:
      return refuse(path, `${type} is no source type`);
  }
}

/** Whether connections are told apart by anything but TLS or plaintext. */
export function asksMore(match: FilterChainMatch): boolean {
  return (
    match.destinationPort !== undefined ||
    match.sourceType !== 'any' ||
    match.destinationRanges.length +
      match.serverNames.length +
      match.applicationProtocols.length +
      match.directSourceRanges.length +
      match.sourceRanges.length +
      match.sourcePorts.length >
      0
  );
}

/** The match as a message. */
export function encodeFilterChainMatch(match: FilterChainMatch): listener.FilterChainMatch {
  const message = create(listener.FilterChainMatchSchema, {
    prefixRanges: match.destinationRanges.map(encodeRange),
    serverNames: [...match.serverNames],
    transportProtocol: match.transportProtocol,
    applicationProtocols: [...match.applicationProtocols],
    directSourcePrefixRanges: match.directSourceRanges.map(encodeRange),
    sourceType: { any: ANY, local: SAME_IP_OR_LOOPBACK, external: EXTERNAL }[match.sourceType],
    sourcePrefixRanges: match.sourceRanges.map(encodeRange),
    sourcePorts: [...match.sourcePorts],
  });
  if (match.destinationPort !== undefined) message.destinationPort = match.destinationPort;
  return message;
}

/**
 * The first chain that no connection could tell from one before it; undefined when there is none. Envoy refuses a
 * listener for that.
 */
export function overlappingChain(
  chains: readonly { readonly match: FilterChainMatch }[],
): number | undefined {
  const seen = new Set<string>();
  for (const [index, { match }] of chains.entries()) {
    for (const key of combinationsOf(match)) {
      if (seen.has(key)) return index;
      seen.add(key);
    }
  }
  return undefined;
}

/** Everything that a match names, combined with each other. */
function combinationsOf(match: FilterChainMatch): readonly string[] {
  const ranges = (list: readonly AddressRange[]) => list.map(networkOf);
  const lists: readonly (readonly string[])[] = [
    [String(match.destinationPort ?? '')],
    ranges(match.destinationRanges),
    match.serverNames,
    [match.transportProtocol],
    match.applicationProtocols,
    ranges(match.directSourceRanges),
    [match.sourceType],
    ranges(match.sourceRanges),
    match.sourcePorts.map(String),
  ];
  return lists.reduce<readonly string[]>(
    (all, list) =>
      all.flatMap((one) => [...new Set(list.length === 0 ? [''] : list)].map((part) => `${one} ${part}`)),
    [''],
  );
}
