import type { TlsOptions, Server as TlsServer } from 'node:tls';
import type { SecretLookup } from '../../cluster/secret-table.js';
import { pemOf, stateOfFile } from '../../mesh/tls-material.js';
import type { Secret } from '../../model/secret.js';
import type { ClientCertificate } from '../../model/tls.js';
import { MeshError } from '../../runtime/errors.js';

/**
 * The certificate of a TLS server that the control plane serves (SDS). It is looked at for each new connection, so that one
 * that was replaced is shown from then on; connections that there are keep theirs.
 */
export class ServedCertificate {
  readonly #name: string;
  readonly #secrets: SecretLookup | undefined;
  /** What the server has; undefined = nothing of this yet. */
  #shown: { readonly secret: Secret; readonly files: string } | undefined;

  constructor(name: string, secrets: SecretLookup | undefined) {
    this.#name = name;
    this.#secrets = secrets;
  }

  /** The roots of the server are others now: it needs all of its options again. */
  reset(): void {
    this.#shown = undefined;
  }

  /**
   * Gives the server the present certificate, and what else holds for it.
   * @throws MeshError `INMESH_IDENTITY_UNAVAILABLE` while there is none that can be used.
   */
  show(server: TlsServer, rest: () => TlsOptions): void {
    const { secret, certificate } = this.#find();
    const files = filesOf(certificate).map(stateOfFile).join('\n');
    const shown = this.#shown;
    if (shown?.secret === secret && shown.files === files) return;
    try {
      server.setSecureContext({ ...rest(), ...keysOf(certificate) });
      this.#shown = { secret, files };
    } catch (cause) {
      // A file that is half written: the one before stays until it is whole.
      if (shown?.secret === secret) return;
      throw MeshError.is(cause) ? cause : this.#unusable('can not be used', cause);
    }
  }

  #find(): { readonly secret: Secret; readonly certificate: ClientCertificate } {
    const secret = this.#secrets?.get(this.#name);
    if (secret === undefined) throw this.#unusable('was not supplied (SDS)');
    if (secret.kind !== 'certificate') throw this.#unusable('is no certificate');
    return { secret, certificate: secret.certificate };
  }

  #unusable(what: string, cause?: unknown): MeshError {
    const text = `the secret ${JSON.stringify(this.#name)} ${what}`;
    return new MeshError('INMESH_IDENTITY_UNAVAILABLE', text, {
      cause,
      resource: this.#name,
      hint: 'Check that the control plane has it, and that this workload may have it',
    });
  }
}

function filesOf({ chain, key, password }: ClientCertificate): string[] {
  return [chain, key, password].flatMap((source) => (source?.kind === 'file' ? [source.path] : []));
}

function keysOf({ chain, key, password }: ClientCertificate): TlsOptions {
  return {
    cert: pemOf(chain),
    key: pemOf(key),
    ...(password && { passphrase: pemOf(password).trimEnd() }),
  };
}
