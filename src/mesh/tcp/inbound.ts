import { type GuardTools, networkGuards } from '../../filters/network-guards.js';
import type { AccessLog } from '../../model/access-log.js';
import type { InboundChainConfig, InboundListener } from '../../model/listener.js';
import { DEFAULT_TCP_IDLE_MS } from '../../model/tcp-proxy.js';
import type { Logger } from '../../runtime/log.js';
import type { ConnectionLogger } from '../../service/exchange-logger.js';
import { auditLines } from '../audit-lines.js';
import { type InboundChain, type InboundPolicy, unconfigured } from '../inbound.js';
import { policyOfChains } from '../inbound-chains.js';

/** What the policy of a server for TCP is made with. */
export interface TcpInboundTools extends Omit<GuardTools, 'audited'> {
  /** Gets a line for each connection that a policy wants audited; by default nobody does. */
  readonly logger?: Logger | undefined;
  readonly connectionLog: (logs: readonly AccessLog[] | undefined) => ConnectionLogger | undefined;
}

/**
 * The policy of a server of any protocol. Of a listener for HTTP, which is what servers of gRPC's kind of configuration send for
 * every port, it takes who may connect; where HTTP filters would have a say in that, nobody may. Without a listener only
 * mTLS is let in.
 */
export function tcpInboundPolicyOf(
  listener: InboundListener | undefined,
  tools: TcpInboundTools,
): InboundPolicy {
  if (listener === undefined)
    return withLog(unconfigured({ buildFilters: () => [], unconfigured: 'strict' }), tools);
  return policyOfChains(listener, (chain) => (isOpen(chain) ? chainOf(chain, tools) : undefined));
}

function isOpen({ http }: InboundChainConfig): boolean {
  return http === undefined || http.filters.every(({ config }) => config.kind === 'router');
}

function chainOf(chain: InboundChainConfig, tools: TcpInboundTools): InboundChain {
  const { random, connectionLog, logger } = tools;
  const { name, tls, tcp } = chain;
  const guards = chain.tcp === undefined ? [] : (chain.guards ?? []);
  const {
    idleTimeoutMs = DEFAULT_TCP_IDLE_MS,
    maxDurationMs,
    maxDurationJitterPercent: jitter = 0,
  } = tcp ?? {};
  return {
    name,
    tls,
    passesTls: tls === undefined && chain.transportProtocol !== 'raw_buffer',
    service: undefined,
    tcp: {
      idleTimeoutMs,
      // Envoy: the jitter only lengthens.
      lifeMs: () => maxDurationMs && maxDurationMs * (1 + (random() * jitter) / 100),
      log: connectionLog(tcp?.accessLogs),
      admits: networkGuards(guards, { ...tools, audited: logger && auditLines(logger) }),
    },
  };
}

function withLog({ mode, tls, plaintext }: InboundPolicy, { connectionLog }: TcpInboundTools): InboundPolicy {
  const tcp = { idleTimeoutMs: DEFAULT_TCP_IDLE_MS, lifeMs: () => undefined, log: connectionLog(undefined) };
  return { mode, tls: tls && { ...tls, tcp }, plaintext: plaintext && { ...plaintext, tcp } };
}
