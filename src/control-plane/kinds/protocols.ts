/** The protocols a port may have, in lower case (Istio: protocol.Parse). */
const PROTOCOLS: ReadonlySet<string> = new Set([
  'http',
  'http_proxy',
  'http2',
  'https',
  'grpc',
  'grpc-web',
  'tcp',
  'tls',
  'udp',
  'mongo',
  'redis',
  'mysql',
  'hbone',
  'double-hbone',
]);

const HTTP: ReadonlySet<string> = new Set(['http', 'http2', 'http_proxy', 'grpc', 'grpc-web']);

/** Whether the text names a protocol, in whatever case. */
export function isProtocol(text: string): boolean {
  return PROTOCOLS.has(text.toLowerCase());
}

/** Whether the protocol is HTTP that the proxy can read. */
export function isHttpProtocol(text: string): boolean {
  return HTTP.has(text.toLowerCase());
}

const TCP: ReadonlySet<string> = new Set(['tcp', 'https', 'tls', 'mongo', 'redis', 'mysql']);

/** Whether the proxy passes the protocol on as connections, TLS among them. */
export function isTcpProtocol(text: string): boolean {
  return TCP.has(text.toLowerCase());
}

/** Whether the protocol is inside TLS. */
export function isTlsProtocol(text: string): boolean {
  return ['https', 'tls'].includes(text.toLowerCase());
}
