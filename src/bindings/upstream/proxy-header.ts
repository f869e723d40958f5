import type { Socket } from 'node:net';
import type { ProxyProtocolVersion } from '../../model/tls.js';

/** The twelve bytes that a header of version 2 begins with. */
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Version 2, command LOCAL; no family, no length: whoever connects speaks for nobody else. */
const LOCAL = Buffer.from([0x20, 0, 0, 0]);

/**
 * What a PROXY protocol header says of a connection that this process makes for itself, as Envoy writes it where there is
 * no downstream connection: version 1 names the ends of this connection, version 2 says LOCAL.
 */
export function proxyHeader(version: ProxyProtocolVersion, socket: Socket): Buffer {
  if (version === 'v2') return Buffer.concat([SIGNATURE, LOCAL]);
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  if (localAddress === undefined || remoteAddress === undefined) return Buffer.from('PROXY UNKNOWN\r\n');
  const family = remoteAddress.includes(':') ? 'TCP6' : 'TCP4';
  return Buffer.from(`PROXY ${family} ${localAddress} ${remoteAddress} ${localPort} ${remotePort}\r\n`);
}
