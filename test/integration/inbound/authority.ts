import { type ConnectionOptions, connect } from 'node:tls';
import {
  type CertificateAuthority,
  createCertificateAuthority,
} from '../../../src/control-plane/ca/certificate-authority.js';
import { createCsr } from '../../../src/identity/csr.js';
import { parseSpiffeId } from '../../../src/identity/spiffe-id.js';
import { parseX509Svid, type X509Svid } from '../../../src/identity/x509-svid.js';
import { systemClock } from '../../../src/runtime/clock.js';

export const REVIEWS = 'spiffe://cluster.local/ns/default/sa/reviews';
export const PRODUCTPAGE = 'spiffe://cluster.local/ns/default/sa/productpage';

/** An authority whose calendar a test may set back, to issue what has expired since. */
export interface Authority {
  readonly authority: CertificateAuthority;
  issue(id: string, lifeMs?: number, agoMs?: number): Promise<X509Svid>;
}

export async function createAuthority(trustDomain = 'cluster.local'): Promise<Authority> {
  let agoMs = 86_400_000;
  const clock = { ...systemClock, wallTime: () => systemClock.wallTime() - agoMs };
  const authority = await createCertificateAuthority({ trustDomain, clock });
  return {
    authority,
    async issue(id, lifeMs = 3_600_000, issuedAgoMs = 0) {
      const { csrPem, privateKey } = await createCsr(parseSpiffeId(id));
      agoMs = issuedAgoMs;
      return parseX509Svid(authority.issue({ csrPem, id: parseSpiffeId(id), lifeMs }).chainPem, privateKey);
    },
  };
}

/** Options of a client that presents `svid` and trusts the authority. */
export function clientOptions(authority: CertificateAuthority, svid?: X509Svid): ConnectionOptions {
  return {
    host: '127.0.0.1',
    ca: authority.rootPem(),
    checkServerIdentity: () => undefined,
    ...(svid !== undefined && {
      cert: svid.certificatesPem.join(''),
      key: svid.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    }),
  };
}

/** Sends one request over TLS; the text that came back, or the error that ended the connection. */
export function exchange(
  port: number,
  options: ConnectionOptions,
  text = 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
): Promise<{ readonly text: string; readonly error: Error | undefined; readonly reused: boolean }> {
  return new Promise((resolve) => {
    let received = '';
    let error: Error | undefined;
    let reused = false;
    const socket = connect({ ...options, port });
    socket.on('secureConnect', () => {
      reused = socket.isSessionReused();
      socket.write(text);
    });
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
    socket.on('error', (cause) => {
      error = cause;
    });
    socket.on('close', () => resolve({ text: received, error, reused }));
  });
}
