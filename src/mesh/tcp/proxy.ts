import type { HashSource } from '../../model/hash-policy.js';
import type { TcpClusterWeight, TcpProxy } from '../../model/tcp-proxy.js';
import { compileHashPolicies, type RequestHash } from '../../routing/hash-policy.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import { remainderOf } from '../../runtime/random.js';
import { mergeMatches } from '../metadata-match.js';
import { Connecting } from './connecting.js';
import { refuseConnection } from './errors.js';
import type { ConnectPolicy, ProxyTools, TcpRoute } from './route.js';

/** One cluster that connections may go to. */
interface Target {
  readonly name: string;
  readonly weight: number;
  readonly policy: ConnectPolicy;
}

/** Puts the TCP proxy of a filter chain to work. */
export function tcpRoute(proxy: TcpProxy, chainName: string, tools: ProxyTools): TcpRoute {
  const { maxDurationMs, maxDurationJitterPercent: jitter = 0 } = proxy;
  const choose = compileTargets(proxy, tools.sourceAddress);
  return {
    idleTimeoutMs: proxy.idleTimeoutMs,
    // Envoy: the jitter only lengthens.
    lifeMs: () => maxDurationMs && maxDurationMs * (1 + (tools.random() * jitter) / 100),
    log: tools.connectionLog(proxy.accessLogs),
    connect(request, done) {
      const { context } = request;
      const { name, policy } = choose(context.random);
      context.clusterName = name;
      if (chainName !== '') {
        context.values ??= new Map();
        context.values.set('envoy.filter_chain_name', chainName);
      }
      const cluster = tools.cluster(name);
      if (cluster !== undefined) return new Connecting(cluster, request, policy, tools, done).start();
      const error = refuseConnection(context, request.authority, {
        code: 'INMESH_NO_CLUSTER',
        flag: 'NC',
        what: `the cluster ${name} does not exist`,
        hint: 'Check that a Service or ServiceEntry declares the destination and its port',
      });
      return soon(() => done(error));
    },
  };
}

/** Envoy: the first cluster whose running sum of weights is above the value. */
function compileTargets(proxy: TcpProxy, sourceAddress: string): (draw: number) => Target {
  const { cluster, maxConnectAttempts: maxAttempts, connectBackoff: backoff, tunnel } = proxy;
  const weights: readonly TcpClusterWeight[] =
    cluster.kind === 'cluster' ? [{ name: cluster.name, weight: 1 }] : cluster.clusters;
  const hash = compileHash(proxy, sourceAddress);
  const targets = weights.map(({ name, weight, metadataMatch: own }): Target => {
    const metadataMatch = mergeMatches(proxy.metadataMatch, own);
    return { name, weight, policy: { maxAttempts, backoff, hash, metadataMatch, tunnel } };
  });
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  return (draw) => {
    const value = remainderOf(draw, total);
    let sum = 0;
    const found = targets.find(({ weight }) => {
      sum += weight;
      return value < sum;
    });
    // The codec and the compiler leave no list without clusters.
    if (found === undefined) throw new TypeError('a TCP proxy without clusters');
    return found;
  };
}

function compileHash({ hash }: TcpProxy, sourceAddress: string): RequestHash | undefined {
  if (hash === undefined) return undefined;
  const source: HashSource = hash;
  return compileHashPolicies([{ source, terminal: false }], sourceAddress);
}

/** Whoever calls has not got the function yet that gives up. */
function soon(task: () => void): Unsubscribe {
  let isWanted = true;
  queueMicrotask(() => {
    if (isWanted) task();
  });
  return () => {
    isWanted = false;
  };
}
