import { MATCH_EVERYTHING } from '../model/filter-chain-match.js';
import type { InboundChainConfig, InboundListener } from '../model/listener.js';
import { compileFilterChains } from '../routing/filter-chains.js';
import type { InboundChain, InboundMode, InboundPolicy } from './inbound-types.js';

type TransportProtocol = 'tls' | 'raw_buffer';

/**
 * The policy that a listener's chains make; `build` puts a chain to work, or says that this kind of server can't. A chain
 * that takes TLS without having a TLS context and does not pass it on, or plaintext with one, serves nobody either:
 * connections that Envoy would give to it are refused.
 */
export function policyOfChains(
  { filterChains, defaultChain, inspection }: InboundListener,
  build: (chain: InboundChainConfig) => InboundChain | undefined,
): InboundPolicy {
  const chains = defaultChain === undefined ? filterChains : [...filterChains, defaultChain];
  const built = new Map(chains.map((chain) => [chain, build(chain)] as const));
  const serving = (chain: InboundChainConfig | undefined, protocol: TransportProtocol) => {
    const one = chain && built.get(chain);
    const hasTls = one?.tls !== undefined;
    return hasTls === (protocol === 'tls') || (protocol === 'tls' && one?.passesTls) ? one : undefined;
  };
  const looks = inspection === undefined ? undefined : { inspection };
  if (defaultChain === undefined && filterChains.every(({ match }) => match === undefined)) {
    const secured = select(filterChains, 'tls');
    // Where nothing asks for TLS nobody looks whether it is: it passes with all else.
    const tls =
      secured?.transportProtocol === 'tls' || secured?.tls !== undefined
        ? serving(secured, 'tls')
        : undefined;
    const plaintext = serving(select(filterChains, 'raw_buffer'), 'raw_buffer');
    return { mode: modeOf(tls, plaintext), tls, plaintext, ...looks };
  }
  const secured = chains.find(
    (one) => one.tls !== undefined && hasWay(one, 'tls') && built.get(one) !== undefined,
  );
  const passing = chains.find((one) => one.transportProtocol === 'tls' && built.get(one)?.passesTls === true);
  const tls = serving(secured ?? passing, 'tls');
  const plaintext = serving(
    chains.find((one) => hasWay(one, 'raw_buffer') && serving(one, 'raw_buffer') !== undefined),
    'raw_buffer',
  );
  const find = compileFilterChains(filterChains.map(matched), defaultChain && matched(defaultChain));
  return {
    mode: modeOf(tls, plaintext),
    tls,
    plaintext,
    choose: (facts) => serving(find(facts)?.chain, facts.transportProtocol),
    ...looks,
  };
}

function matched(chain: InboundChainConfig) {
  const { match = MATCH_EVERYTHING, transportProtocol } = chain;
  return { match: { ...match, transportProtocol }, chain };
}

function hasWay({ transportProtocol }: InboundChainConfig, protocol: TransportProtocol): boolean {
  return transportProtocol === '' || transportProtocol === protocol;
}

/** Envoy: a chain that names the transport protocol goes before one that leaves it open. */
function select(
  chains: readonly InboundChainConfig[],
  protocol: TransportProtocol,
): InboundChainConfig | undefined {
  const exact = chains.find((chain) => chain.transportProtocol === protocol);
  return exact ?? chains.find((one) => one.transportProtocol === '');
}

function modeOf(tls: InboundChain | undefined, plaintext: InboundChain | undefined): InboundMode {
  if (tls !== undefined) return plaintext === undefined ? 'strict' : 'permissive';
  return plaintext === undefined ? 'closed' : 'disable';
}
