import type { FilterChainMatch } from '../model/filter-chain-match.js';
import type { AddressRange } from '../model/value-matcher.js';
import { maskIp, networkOf, parseIp } from '../runtime/ip.js';

/** What filter chains are chosen by. */
export interface ConnectionFacts {
  readonly destinationPort: number;
  /** Undefined = a name of which no address is known. */
  readonly destinationIp: string | undefined;
  /** Lower-case name of the SNI; empty = none. */
  readonly serverName: string;
  readonly transportProtocol: 'tls' | 'raw_buffer';
  /** ALPN names that the client offers, best first. */
  readonly applicationProtocols: readonly string[];
  readonly directSourceIp: string | undefined;
  readonly sourceIp: string | undefined;
  readonly sourcePort: number;
}

type Find<C> = (facts: ConnectionFacts) => C | undefined;

interface Entry<C> {
  readonly match: FilterChainMatch;
  readonly chain: C;
}

/** One question of the match: under which answers a chain stands, and which answer a connection takes. */
interface Level {
  readonly keysOf: (match: FilterChainMatch) => readonly string[];
  /** `known` holds the answers that some chain stands under. The most specific counts, and only that (Envoy). */
  readonly chooser: (known: ReadonlySet<string>) => (facts: ConnectionFacts) => string | undefined;
}

/** The answer of a chain that does not ask. */
const ANY = '';
const listed = (values: readonly (string | number)[]): readonly string[] =>
  values.length === 0 ? [ANY] : values.map(String);

/** The first of the keys that some chain stands under, else those that do not ask. */
function exactly(keysOf: KeysOf, wanted: (facts: ConnectionFacts) => readonly string[]): Level {
  return {
    keysOf,
    chooser: (known) => {
      const others = known.has(ANY) ? ANY : undefined;
      // Most levels ask nothing.
      if (known.size === 1 && others !== undefined) return () => others;
      return (facts) => wanted(facts).find((key) => key !== ANY && known.has(key)) ?? others;
    },
  };
}

type KeysOf = Level['keysOf'];

function within(
  rangesOf: (match: FilterChainMatch) => readonly AddressRange[],
  addressOf: (facts: ConnectionFacts) => string | undefined,
): Level {
  return {
    keysOf: (match) => listed(rangesOf(match).map(networkOf)),
    chooser: (known) => {
      const others = known.has(ANY) ? ANY : undefined;
      const ranges = [...known].filter((key) => key !== ANY).map(parseRange);
      ranges.sort((a, b) => b.bits - a.bits);
      if (ranges.length === 0) return () => others;
      return (facts) => {
        const text = addressOf(facts);
        const address = text === undefined ? undefined : parseIp(text);
        if (address === undefined) return others;
        return ranges.find((range) => contains(range, address))?.key ?? others;
      };
    },
  };
}

/** Envoy's order. */
const LEVELS: readonly Level[] = [
  exactly(
    ({ destinationPort }) => [destinationPort === undefined ? ANY : String(destinationPort)],
    ({ destinationPort }) => [String(destinationPort)],
  ),
  within(
    ({ destinationRanges }) => destinationRanges,
    ({ destinationIp }) => destinationIp,
  ),
  exactly(
    ({ serverNames }) => listed(serverNames),
    ({ serverName }) => namesCovering(serverName),
  ),
  exactly(
    ({ transportProtocol }) => [transportProtocol],
    ({ transportProtocol }) => [transportProtocol],
  ),
  exactly(
    ({ applicationProtocols }) => listed(applicationProtocols),
    ({ applicationProtocols }) => applicationProtocols,
  ),
  within(
    ({ directSourceRanges }) => directSourceRanges,
    ({ directSourceIp }) => directSourceIp,
  ),
  exactly(
    ({ sourceType }) => [sourceType === 'any' ? ANY : sourceType],
    (facts) => [isLocal(facts) ? 'local' : 'external'],
  ),
  within(
    ({ sourceRanges }) => sourceRanges,
    ({ sourceIp }) => sourceIp,
  ),
  exactly(
    ({ sourcePorts }) => listed(sourcePorts),
    ({ sourcePort }) => [String(sourcePort)],
  ),
];

/**
 * Compiles the choice among filter chains as Envoy makes it: port, address, SNI, transport, ALPN, direct source, kind,
 * address and port of the source, one after the other. Each step keeps the chains with the most specific answer and
 * never comes back; where that leads nowhere, `fallback` takes the connection.
 */
export function compileFilterChains<C extends { readonly match: FilterChainMatch }>(
  chains: readonly C[],
  fallback: C | undefined,
): (facts: ConnectionFacts) => C | undefined {
  const find = compileLevel(
    chains.map((chain) => ({ match: chain.match, chain })),
    0,
  );
  return (facts) => find(facts) ?? fallback;
}

function compileLevel<C>(entries: readonly Entry<C>[], depth: number): Find<C> {
  const level = LEVELS[depth];
  if (level === undefined) {
    const [only] = entries;
    return () => only?.chain;
  }
  const groups = new Map<string, Entry<C>[]>();
  for (const entry of entries) {
    for (const key of new Set(level.keysOf(entry.match))) {
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [entry]);
      else group.push(entry);
    }
  }
  const choose = level.chooser(new Set(groups.keys()));
  const next = new Map([...groups].map(([key, group]) => [key, compileLevel(group, depth + 1)] as const));
  return (facts) => {
    const key = choose(facts);
    return key === undefined ? undefined : next.get(key)?.(facts);
  };
}

/** `www.a.example`, `*.a.example`, `*.example`: Envoy's order. */
function namesCovering(name: string): readonly string[] {
  const names = [name];
  for (let dot = name.indexOf('.', 1); dot > 0 && dot < name.length - 1; dot = name.indexOf('.', dot + 1)) {
    names.push(`*${name.slice(dot)}`);
  }
  return names;
}

/** Envoy: from this machine, as far as addresses tell. */
function isLocal({ sourceIp, destinationIp }: ConnectionFacts): boolean {
  if (sourceIp === undefined) return false;
  return sourceIp === destinationIp || sourceIp === '::1' || sourceIp.startsWith('127.');
}

interface Range {
  readonly key: string;
  readonly prefix: Uint8Array;
  readonly bits: number;
}

function parseRange(key: string): Range {
  const [address = '', bits = '0'] = key.split('/');
  return { key, prefix: Uint8Array.from(address.split('.'), Number), bits: Number(bits) };
}

function contains({ prefix, bits }: Range, address: Uint8Array): boolean {
  if (address.length !== prefix.length) return false;
  return maskIp(address, bits).every((byte, index) => byte === prefix[index]);
}
