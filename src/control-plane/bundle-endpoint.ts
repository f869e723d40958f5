import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import { createSpiffeBundle, encodeSpiffeBundle } from '../identity/spiffe-bundle.js';
import type { MeshTls } from '../identity/tls-options.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import { type CertificateAuthority, crlPem } from './ca/certificate-authority.js';
import { stampOf } from './ca/plugged-authority.js';
import { readSecretFile } from './ca/private-key.js';
import { listen } from './serve/grpc-server.js';

const REFRESH_HINT_MS = 300_000;
const LOOK_MS = 10_000;

/** Where other trust domains get this one's bundle from (SPIFFE Trust Domain and Bundle, §5). */
export interface BundleEndpointOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0 takes any free one. Default 8443. */
  readonly port?: number;
  /**
   * How it proves itself: by its own SVID (`https_spiffe`, the default), or by a certificate for browsers and curl
   * (`https_web`), read again when its files change.
   */
  readonly profile?:
    | { readonly kind: 'https_spiffe' }
    | { readonly kind: 'https_web'; readonly certificateFile: string; readonly keyFile: string };
  /** How often consumers should look. Default 5 minutes. */
  readonly refreshHintMs?: number;
}

/** A running bundle endpoint. */
export interface BundleEndpoint {
  /** `host:port`. */
  readonly address: string;
  close(): Promise<void>;
}

interface Tools {
  readonly authority: CertificateAuthority;
  /** The control plane's own identity. */
  readonly tls: MeshTls;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The bundle as a SPIFFE bundle document. */
export function bundleDocument(authority: CertificateAuthority, refreshHintMs = REFRESH_HINT_MS): string {
  const x509 = authority.bundle();
  return encodeSpiffeBundle(
    createSpiffeBundle(x509.trustDomain, {
      x509,
      sequence: BigInt(authority.trust().sequence),
      refreshHintMs,
    }),
  );
}

/** Serves the bundle at `/`, and the revocation list at `/crl.der` and `/crl.pem`. All of it is public. */
export async function startBundleEndpoint(
  options: BundleEndpointOptions,
  tools: Tools,
): Promise<BundleEndpoint> {
  const { host = '127.0.0.1', port = 8443, profile = { kind: 'https_spiffe' } } = options;
  const { tls, clock, logger } = tools;
  const answering = (request: IncomingMessage, response: ServerResponse) => {
    try {
      answer(request, response, tools.authority, options.refreshHintMs);
    } catch (error) {
      logger.error({ error: messageOf(error) }, 'the bundle endpoint failed');
      response.writeHead(500).end();
    }
  };
  let server: Server;
  let stop: () => void;
  if (profile.kind === 'https_spiffe') {
    // Consumers may have no certificate that is known here: who asks does not matter.
    server = createServer(
      { ...tls.serverOptions({ requireClientCertificate: false }), requestCert: false },
      answering,
    );
    stop = tls.attach(server);
  } else {
    server = createServer(await webMaterial(profile), answering);
    stop = followFiles(server, profile, clock, logger);
  }
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  server.maxConnections = 1_000;
  // What goes wrong in a handshake is the consumer's to tell.
  server.on('tlsClientError', () => {});
  const address = await listen(server, host, port, 'bundle endpoint').catch((error: unknown) => {
    stop();
    throw error;
  });
  return {
    address,
    close() {
      stop();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function answer(
  { method, url = '/' }: IncomingMessage,
  response: ServerResponse,
  authority: CertificateAuthority,
  refreshHintMs: number | undefined,
): void {
  if (method !== 'GET' && method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD', connection: 'close' }).end();
    return;
  }
  const found = contentOf(url.split('?', 1)[0] ?? '/', authority, refreshHintMs);
  if (found === undefined) {
    response.writeHead(404, { connection: 'close' }).end();
    return;
  }
  response.writeHead(200, {
    'content-type': found.type,
    'content-length': Buffer.byteLength(found.body),
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
  });
  response.end(method === 'HEAD' ? undefined : found.body);
}

function contentOf(
  path: string,
  authority: CertificateAuthority,
  refreshHintMs: number | undefined,
): { readonly type: string; readonly body: string | Uint8Array } | undefined {
  if (path === '/') return { type: 'application/json', body: bundleDocument(authority, refreshHintMs) };
  if (authority.isExternal) return undefined;
  if (path === '/crl.der') return { type: 'application/pkix-crl', body: authority.revocation.crl() };
  return path === '/crl.pem'
    ? { type: 'application/x-pem-file', body: crlPem(authority.revocation.crl()) }
    : undefined;
}

interface WebFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

async function webMaterial({ certificateFile, keyFile }: WebFiles): Promise<SecureContextOptions> {
  try {
    const [cert, key] = await Promise.all([readFile(certificateFile), readSecretFile(keyFile)]);
    return { cert, key, minVersion: 'TLSv1.2' };
  } catch (error) {
    if (MeshError.is(error)) throw error;
    throw new MeshError(
      'INMESH_OPTION_INVALID',
      `the certificate of the bundle endpoint cannot be read: ${messageOf(error)}`,
      {
        resource: certificateFile,
        cause: error,
        hint: 'Check the path and its permission',
      },
    );
  }
}

function followFiles(server: Server, files: WebFiles, clock: Clock, logger: Logger): () => void {
  const paths = [files.certificateFile, files.keyFile];
  let stamp: string | undefined;
  let timer: Timer | undefined;
  let isStopped = false;
  const look = async () => {
    try {
      const now = await stampOf(paths);
      if (stamp !== undefined && stamp !== now) server.setSecureContext(await webMaterial(files));
      stamp = now;
    } catch (error) {
      logger.error({ error: messageOf(error) }, 'the new certificate of the bundle endpoint is not used');
    }
    if (!isStopped) timer = clock.schedule(LOOK_MS, () => void look());
  };
  void look();
  return () => {
    isStopped = true;
    timer?.cancel();
  };
}
