const KUBERNETES: ReadonlyMap<string, string> = new Map([
  ['kubernetes.io/h2c', 'http2'],
  ['kubernetes.io/ws', 'http'],
  ['kubernetes.io/wss', 'https'],
]);
const NAME_PREFIXES: ReadonlySet<string> = new Set([
  'http',
  'http2',
  'https',
  'grpc',
  'tls',
  'tcp',
  'mongo',
  'redis',
  'mysql',
  'udp',
]);
const HTTP_PROTOCOLS: ReadonlySet<string> = new Set(['http', 'http2', 'grpc', 'grpc-web', '']);
const HTTP2_PROTOCOLS: ReadonlySet<string> = new Set(['http2', 'grpc', 'grpc-web']);
/** Istio: well-known ports where the server speaks first, so that they are never HTTP. */
const TCP_PORTS: ReadonlySet<number> = new Set([25, 3306, 27_017]);

/** The protocol of a port (Istio: `appProtocol`, else the port's name up to the first `-`); empty = nothing says. */
export function protocolOf(appProtocol: string | undefined, portName: string): string {
  if (appProtocol !== undefined) return KUBERNETES.get(appProtocol) ?? appProtocol.toLowerCase();
  const name = portName.toLowerCase();
  if (name === 'grpc-web' || name.startsWith('grpc-web-')) return 'grpc-web';
  const prefix = name.split('-')[0] ?? '';
  return NAME_PREFIXES.has(prefix) ? prefix : '';
}

/** A port as far as its protocol goes. */
export interface ServicePort {
  readonly number: number;
  readonly protocol: string;
}

/** Whether requests to the port are routed as HTTP. */
export function isHttpPort({ protocol, number }: ServicePort): boolean {
  // Where nothing says, Istio looks at the bytes; what a client in the process sends through the mesh is HTTP.
  return HTTP_PROTOCOLS.has(protocol) && !(protocol === '' && TCP_PORTS.has(number));
}

/** Whether connections to the port are routed as they are, whatever they carry. */
export function isTcpPort(port: ServicePort): boolean {
  return !isHttpPort(port) && port.protocol !== 'udp';
}

/** Whether what the connections to a TCP port carry is TLS of the application, so that its SNI can be seen. */
export function isTlsPort({ protocol }: ServicePort): boolean {
  return protocol === 'tls' || protocol === 'https';
}

/** Whether the port's requests travel as HTTP/2. */
export function isHttp2Port({ protocol }: ServicePort): boolean {
  return HTTP2_PROTOCOLS.has(protocol);
}
