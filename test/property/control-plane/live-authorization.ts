import { LISTENER } from '../../../src/codec/resource-types.js';
import { createCompiler } from '../../../src/control-plane/compile/compile.js';
import { INLINE_KEYS } from '../../../src/control-plane/compile/issuer-keys.js';
import type { ConfigView } from '../../../src/control-plane/kinds/view.js';
import type { MeshConfig } from '../../../src/control-plane/mesh/mesh-config.js';
import type { CheckedRequest } from '../../../src/control-plane/policy/checked-request.js';
import { SDK_ENCODERS } from '../../../src/control-plane/resources/encoders.js';
import { buildFilters } from '../../../src/filters/builtin.js';
import type { FilterTools } from '../../../src/filters/filter.js';
import { networkGuards } from '../../../src/filters/network-guards.js';
import { createDoor } from '../../../src/mesh/door.js';
import type { InboundChainConfig, Listener } from '../../../src/model/listener.js';
import { Abort } from '../../../src/runtime/abort.js';
import { EMPTY_BODY } from '../../../src/service/body.js';
import type { ConnectionInfo, TlsInfo } from '../../../src/service/connection.js';
import { createExchange, type Exchange } from '../../../src/service/context.js';
import { HeaderMap } from '../../../src/service/headers.js';
import { compose } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { nodeOf, registryOf } from '../../unit/control-plane/compile/mesh.js';
import { FakeGrpcAuthz, FakeHttpAuthz } from '../../unit/filters/fake-authz.js';
import { filterTools, makeResponse } from '../../unit/filters/support.js';

/** What became of a request at a workload. */
export interface LiveVerdict {
  readonly verdict: 'allowed' | 'denied' | 'asked';
  /** The policy that denied it; `none` when no ALLOW policy matched, undefined when no policy did. */
  readonly by: string | undefined;
  readonly audited: readonly string[];
}

/** A process of the mesh that serves `cart` of the namespace `shop`, as far as it decides about requests. */
export class LiveWorkload {
  readonly #http: InboundChainConfig;
  readonly #tcp: InboundChainConfig;

  constructor(view: ConfigView, config: MeshConfig) {
    const set = createCompiler(config, { keys: INLINE_KEYS }).compile(view, registryOf([]), NODE);
    this.#http = chainOf(set.listenerOf('xds.istio.io/grpc/lds/inbound/127.0.0.1:8080'));
    this.#tcp = chainOf(set.listenerOf('xds.istio.io/grpc/lds/inbound/127.0.0.1:8081'));
  }

  decide(asked: CheckedRequest): Promise<LiveVerdict> {
    return asked.protocol === 'http' ? this.#request(asked) : this.#connection(asked);
  }

  async #request(asked: CheckedRequest): Promise<LiveVerdict> {
    const { http } = this.#http;
    if (http?.paths === undefined) throw new Error('no HTTP');
    const door = createDoor(http.paths);
    const path = door.path(asked.path ?? '/');
    const { context, tools, asking, audited } = stand(asked);
    if (typeof path !== 'string') return { verdict: 'denied', by: undefined, audited };
    const isMember = asked.principal !== undefined;
    const headers = HeaderMap.from(
      (asked.headers ?? []).filter(([name]) => isMember || !door.isUntrusted(name.toLowerCase())),
    );
    headers.delete('x-forwarded-client-cert');
    const uri = context.connection?.tls?.peer?.uriSans[0];
    if (uri !== undefined) headers.set('x-forwarded-client-cert', `Hash=0a;Subject="";URI=${uri}`);
    const service = compose(buildFilters(http.filters, [], tools), async () => makeResponse(200));
    const response = await service({
      method: asked.method ?? 'GET',
      scheme: 'http',
      authority: asked.authority ?? '',
      path,
      headers,
      body: EMPTY_BODY,
      abort: new Abort(),
      context,
    });
    return verdictOf(response.status === 200, asking(), context, audited);
  }

  async #connection(asked: CheckedRequest): Promise<LiveVerdict> {
    const { context, tools, asking, audited } = stand(asked);
    if (this.#tcp.tcp === undefined) throw new Error('no TCP');
    const admit = networkGuards(this.#tcp.guards ?? [], { ...tools, filterMemory: tools.memory });
    const isIn = admit === undefined || (await admit(context, new Abort()));
    return verdictOf(isIn, asking(), context, audited);
  }
}

const SERVED = { service: 'cart', address: '127.0.0.1', tlsMode: 'istio' } as const;
const NODE = nodeOf({
  NAMESPACE: 'shop',
  LABELS: { version: 'v1' },
  INMESH_WORKLOADS: [
    { ...SERVED, port: 8080, portName: 'http' },
    { ...SERVED, port: 8081, portName: 'tcp', protocol: 'tcp' },
  ],
});

/** The chain for members of the mesh, as the wire has it. */
function chainOf(listener: Listener | undefined): InboundChainConfig {
  if (listener === undefined) throw new Error('no listener');
  const { resource } = LISTENER.decode(SDK_ENCODERS.listener(listener));
  const chain = resource.kind === 'inbound' ? resource.filterChains[0] : undefined;
  if (chain === undefined) throw new Error('no chain');
  return chain;
}

function verdictOf(
  isIn: boolean,
  isAsked: boolean,
  { details = '' }: Exchange,
  audited: readonly string[],
): LiveVerdict {
  if (isIn) return { verdict: isAsked ? 'asked' : 'allowed', by: undefined, audited };
  const [, by] = /^rbac_access_denied_matched_policy\[(.*)\]$/.exec(details) ?? [];
  if (by === undefined) throw new Error(`refused by something else: ${details}`);
  return { verdict: 'denied', by, audited };
}

function stand(asked: CheckedRequest) {
  const [grpc, http] = [new FakeGrpcAuthz(), new FakeHttpAuthz()];
  const audited: string[] = [];
  const tools: FilterTools = {
    ...filterTools(createFakeClock()),
    direction: 'inbound',
    upstream: (cluster) => (cluster.includes('over-grpc') ? grpc.service : http.service),
    audited: (policy) => audited.push(policy),
  };
  const context = createExchange('inbound', 0, 0.5);
  context.connection = connectionOf(asked);
  return { context, tools, audited, asking: () => grpc.asked.length + http.asked.length > 0 };
}

function connectionOf(asked: CheckedRequest): ConnectionInfo {
  const { sourceIp = '127.0.0.1', remoteIp = sourceIp, destinationIp = '127.0.0.1', port = 0 } = asked;
  return {
    id: 1,
    directRemote: { address: sourceIp, port: 40_000 },
    remote: { address: remoteIp, port: 40_000 },
    local: { address: destinationIp, port },
    tls: asked.principal === undefined && asked.serverName === undefined ? undefined : tlsOf(asked),
  };
}

function tlsOf({ principal, serverName }: CheckedRequest): TlsInfo {
  const uri = principal?.startsWith('spiffe://') ? principal : `spiffe://${principal}`;
  const peer = {
    uriSans: [uri],
    dnsSans: [],
    subject: '',
    issuer: 'CN=mesh',
    serial: '1',
    sha256: '0a',
    notBeforeMs: 0,
    notAfterMs: 1,
    pem: '',
  };
  return {
    serverName,
    version: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    sessionId: undefined,
    alpn: 'h2',
    peer: principal === undefined ? undefined : peer,
    peerVerified: principal !== undefined,
    localUriSan: 'spiffe://cluster.local/ns/shop/sa/cart',
  };
}
