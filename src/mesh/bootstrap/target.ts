import { splitHostPort } from '../../model/address.js';

/** A gRPC target without its scheme, but for sockets; undefined when it is neither `host:port` nor `unix:`. */
export function bareTarget(text: string): string | undefined {
  if (/^unix:./.test(text)) return text;
  const bare = text.replace(/^(?:dns:(?:\/\/[^/]*\/)?|ipv4:|ipv6:|http:\/\/)/, '');
  const { host, port } = splitHostPort(bare);
  return host !== '' && port !== undefined ? bare : undefined;
}
