import type { HttpConnectionManager, InboundChainConfig, InboundListener } from './listener.js';

/** All filter chains of a server's listener, the default one last. */
export function inboundChains({
  filterChains,
  defaultChain,
}: InboundListener): readonly InboundChainConfig[] {
  return defaultChain === undefined ? filterChains : [...filterChains, defaultChain];
}

/** The listener with other HTTP in its chains. */
export function withHttp(
  listener: InboundListener,
  change: (http: HttpConnectionManager) => HttpConnectionManager,
): InboundListener {
  const chain = (one: InboundChainConfig): InboundChainConfig =>
    one.http === undefined ? one : { ...one, http: change(one.http) };
  const { filterChains, defaultChain } = listener;
  return {
    ...listener,
    filterChains: filterChains.map(chain),
    ...(defaultChain && { defaultChain: chain(defaultChain) }),
  };
}
