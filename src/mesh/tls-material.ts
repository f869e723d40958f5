import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { PemSource, UpstreamTls } from '../model/tls.js';

/**
 * The certificates and roots of a TLS client that are not the mesh's. Files are looked at again for each new connection
 * (not for each request), so that one that was replaced is used without a restart; while the new one can't be used, as
 * when it is half written, the old one stays.
 */
export class TlsMaterial {
  readonly #tls: UpstreamTls;
  readonly #files: readonly string[];
  #context: SecureContext | undefined;
  #state: string | undefined;

  constructor(tls: UpstreamTls) {
    this.#tls = tls;
    const { roots, crl, certificate } = tls;
    const sources = [roots, crl, certificate?.chain, certificate?.key, certificate?.password];
    this.#files = sources.flatMap((source) =>
      typeof source === 'object' && source.kind === 'file' ? [source.path] : [],
    );
  }

  /** The context for a new connection. Throws when it could not be made even once. */
  context(): SecureContext {
    const state = this.#files.map(stateOfFile).join('\n');
    if (this.#context !== undefined && state === this.#state) return this.#context;
    try {
      this.#context = makeContext(this.#tls);
      this.#state = state;
    } catch (error) {
      if (this.#context === undefined) throw error;
    }
    return this.#context;
  }
}

/** Changes when the file does, also when a link in its path is moved to another file, as Kubernetes does. */
export function stateOfFile(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? 'gone' : `${found.ino} ${found.size} ${found.mtimeMs}`;
}

function makeContext({ roots, crl, certificate, ...tls }: UpstreamTls): SecureContext {
  const password = certificate?.password;
  return createSecureContext({
    // Undefined = the platform's roots.
    ...(typeof roots === 'object' && { ca: pemOf(roots) }),
    ...(crl !== undefined && { crl: pemOf(crl) }),
    ...(certificate !== undefined && { cert: pemOf(certificate.chain), key: pemOf(certificate.key) }),
    ...(password !== undefined && { passphrase: pemOf(password).trimEnd() }),
    minVersion: tls.minVersion ?? 'TLSv1.2',
    maxVersion: tls.maxVersion ?? 'TLSv1.3',
    ...(tls.ciphers !== undefined && { ciphers: tls.ciphers.join(':') }),
  });
}

export function pemOf(source: PemSource): string {
  return source.kind === 'file' ? readFileSync(source.path, 'utf8') : source.pem;
}
