import type { FilterChain, HttpConnectionManager, InboundListener } from '../model/listener.js';
import type { DownstreamTls } from '../model/tls.js';
import { MeshError } from '../runtime/errors.js';
import { compose, type Filter, type Request, type Response, type Service } from '../service/service.js';

/**
 * Which connections a server accepts: mTLS only (Istio STRICT), both (PERMISSIVE), plaintext only (DISABLE), or,
 * while nothing says what is allowed, none.
 */
export type InboundMode = 'strict' | 'permissive' | 'disable' | 'closed';

/** What happens on connections of one kind. */
export interface InboundChain {
  /** Name of the filter chain it comes from. */
  readonly name: string;
  /** Undefined on the chain for plaintext. */
  readonly tls: DownstreamTls | undefined;
  /** Filters with the application below; undefined when there are no filters and requests go straight to it. */
  readonly service: Service | undefined;
}

/** What a server does with connections and requests; a configuration change makes a new one. */
export interface InboundPolicy {
  readonly mode: InboundMode;
  /** For mTLS connections; undefined when they are refused. */
  readonly tls: InboundChain | undefined;
  /** For plaintext connections; undefined when they are refused. */
  readonly plaintext: InboundChain | undefined;
}

/** The application behind one request. A server binding puts it into `context.callerOptions`. */
export interface InboundApplication {
  /** Hands the request to the application; resolves when it has written its response head. */
  handle(request: Request): Promise<Response>;
}

export interface InboundOptions {
  /** Makes the HTTP filters of a chain, outermost first. */
  readonly buildFilters: (http: HttpConnectionManager) => readonly Filter[];
  /** What applies while there is no listener. Default `closed`: without rules nobody is let in. */
  readonly unconfigured?: InboundMode;
}

/**
 * Derives the inbound policy of a listener. Its stacks are built here, once; a request only calls them.
 */
export function inboundPolicy(listener: InboundListener | undefined, options: InboundOptions): InboundPolicy {
  if (listener === undefined) return unconfigured(options.unconfigured ?? 'closed');
  const { filterChains } = listener;
  const tls = select(filterChains, 'tls', (chain) => chain.tls !== undefined);
  const plaintext = select(filterChains, 'raw_buffer', (chain) => chain.tls === undefined);
  return {
    mode: modeOf(tls !== undefined, plaintext !== undefined),
    tls: tls && inboundChain(tls, options),
    plaintext: plaintext && inboundChain(plaintext, options),
  };
}

/**
 * Envoy: a chain that names the transport protocol goes before one that leaves it open. A chain that takes TLS
 * without having a TLS context, or plaintext with one, can't serve HTTP and counts as none.
 */
function select(
  chains: readonly FilterChain[],
  protocol: 'tls' | 'raw_buffer',
  usable: (chain: FilterChain) => boolean,
): FilterChain | undefined {
  const exact = chains.find((chain) => chain.transportProtocol === protocol);
  const chain = exact ?? chains.find((one) => one.transportProtocol === '');
  return chain !== undefined && usable(chain) ? chain : undefined;
}

function modeOf(hasTls: boolean, hasPlaintext: boolean): InboundMode {
  if (hasTls) return hasPlaintext ? 'permissive' : 'strict';
  return hasPlaintext ? 'disable' : 'closed';
}

function inboundChain(chain: FilterChain, options: InboundOptions): InboundChain {
  const filters = options.buildFilters(chain.http);
  return {
    name: chain.name,
    tls: chain.tls,
    service: filters.length === 0 ? undefined : compose(filters, application),
  };
}

function unconfigured(mode: InboundMode): InboundPolicy {
  const tls: DownstreamTls = { requireClientCertificate: true, alpn: [] };
  const hasTls = mode === 'strict' || mode === 'permissive';
  const hasPlaintext = mode === 'disable' || mode === 'permissive';
  return {
    mode,
    tls: hasTls ? { name: '', tls, service: undefined } : undefined,
    plaintext: hasPlaintext ? { name: '', tls: undefined, service: undefined } : undefined,
  };
}

/** The lowest layer of every inbound stack: the application that the binding named in the request's context. */
function application(request: Request): Promise<Response> {
  const { callerOptions } = request.context;
  if (!isApplication(callerOptions)) {
    const error = new MeshError('INMESH_OPTION_INVALID', 'the inbound request names no application');
    return Promise.reject(error);
  }
  return callerOptions.handle(request);
}

function isApplication(value: unknown): value is InboundApplication {
  return (
    typeof value === 'object' && value !== null && 'handle' in value && typeof value.handle === 'function'
  );
}
