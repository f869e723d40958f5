import { MESH_ALPN, MESH_HTTP_ALPN, MESH_TCP_ALPN } from '../mesh-alpn.js';
import type { MtlsMode } from '../peer-authentication.js';
import type { InboundProtocol } from './inbound-ports.js';

/** How connections to a port are told apart, and what becomes of those (Istio: FilterChainMatchOptions). */
export interface ChainOption {
  readonly transportProtocol: 'tls' | 'raw_buffer';
  /** Names of which the client offers one, or the HTTP inspector finds one; empty = any. */
  readonly applicationProtocols: readonly string[];
  readonly inner: 'http' | 'tcp';
  readonly endsTls: boolean;
}

/** What the HTTP inspector finds. Istio: HTTP/1.0 is refused by the connection manager, so that it goes on as bytes. */
const PLAIN_HTTP: readonly string[] = ['http/1.1', 'h2c'];

type Inner = ChainOption['inner'];

const ended = (inner: Inner, applicationProtocols: readonly string[] = []): ChainOption => ({
  transportProtocol: 'tls',
  applicationProtocols,
  inner,
  endsTls: true,
});
const plain = (inner: Inner, applicationProtocols: readonly string[] = []): ChainOption => ({
  transportProtocol: 'raw_buffer',
  applicationProtocols,
  inner,
  endsTls: false,
});
/** TLS of the application, which the mesh does not look into. */
const THROUGH: ChainOption = {
  transportProtocol: 'tls',
  applicationProtocols: [],
  inner: 'tcp',
  endsTls: false,
};

const OPTIONS: Readonly<Record<MtlsMode, Readonly<Record<InboundProtocol, readonly ChainOption[]>>>> = {
  STRICT: {
    http: [ended('http')],
    tcp: [ended('tcp')],
    auto: [ended('http', MESH_HTTP_ALPN), ended('tcp')],
  },
  PERMISSIVE: {
    // What says that it is HTTP has no TLS of its own.
    http: [ended('http', MESH_ALPN), plain('http')],
    tcp: [ended('tcp', MESH_ALPN), plain('tcp'), THROUGH],
    auto: [
      ended('http', MESH_HTTP_ALPN),
      plain('http', PLAIN_HTTP),
      ended('tcp', MESH_TCP_ALPN),
      plain('tcp'),
      THROUGH,
    ],
  },
  DISABLE: {
    http: [plain('http')],
    tcp: [plain('tcp')],
    auto: [plain('http', PLAIN_HTTP), plain('tcp')],
  },
};

/** The filter chains of a port by its mTLS mode (Istio: getFilterChainMatchOptions). */
export function chainOptions(mode: MtlsMode, protocol: InboundProtocol): readonly ChainOption[] {
  return OPTIONS[mode][protocol];
}

/** The same where TLS with certificates of its own is ended (Istio: getTLSFilterChainMatchOptions). */
export function ownTlsOptions(protocol: InboundProtocol): readonly ChainOption[] {
  return [ended(protocol === 'tcp' ? 'tcp' : 'http')];
}
