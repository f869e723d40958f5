import type { TlsOptions, Server as TlsServer } from 'node:tls';
import type { SecretLookup } from '../../cluster/secret-table.js';
import { type PeerNamePredicate, peerNamePredicates } from '../../mesh/peer-names.js';
import { pemOf, stateOfFile } from '../../mesh/tls-material.js';
import type { Secret } from '../../model/secret.js';
import type { ClientCertificate, ClientValidation, DownstreamTls, PemSource } from '../../model/tls.js';
import { MeshError } from '../../runtime/errors.js';

/** Roots that are not the mesh's, as they hold now. */
interface ClientRoots {
  readonly roots: 'system' | PemSource;
  readonly crl: PemSource | undefined;
}

interface Material {
  readonly secrets: readonly (Secret | undefined)[];
  readonly certificate: ClientCertificate | undefined;
  readonly clients: ClientRoots | undefined;
  readonly names: ClientValidation['subjectAltNames'];
}

/**
 * What a TLS server shows and trusts beyond the workload's identity: certificates and roots that the control plane serves
 * (SDS). It is looked at for each new connection, so that what was replaced holds from then on; connections that there are
 * keep theirs.
 */
export class ServedMaterial {
  readonly #tls: DownstreamTls;
  readonly #lookup: SecretLookup | undefined;
  /** What the server has; undefined = nothing of this yet. */
  #shown: { readonly secrets: readonly unknown[]; readonly files: string } | undefined;
  #names: readonly PeerNamePredicate[] = [];

  constructor(tls: DownstreamTls, secrets: SecretLookup | undefined) {
    this.#tls = tls;
    this.#lookup = secrets;
  }

  /** Names of which a client has to prove one; none = any will do. */
  get names(): readonly PeerNamePredicate[] {
    return this.#names;
  }

  /** The identity is another now: the server needs all of its options again. */
  reset(): void {
    this.#shown = undefined;
  }

  /**
   * Gives the server the present material, and what else holds for it.
   * @throws MeshError `INMESH_IDENTITY_UNAVAILABLE` while there is none that can be used.
   */
  show(server: TlsServer, rest: () => TlsOptions): void {
    const material = this.#find();
    const { secrets } = material;
    const files = filesOf(material).map(stateOfFile).join('\n');
    const shown = this.#shown;
    const isSame = shown !== undefined && secrets.every((secret, at) => secret === shown.secrets[at]);
    if (isSame && shown.files === files) return;
    try {
      server.setSecureContext({ ...rest(), ...optionsOf(material) });
      this.#shown = { secrets, files };
      this.#names = peerNamePredicates({ subjectAltNames: material.names });
    } catch (cause) {
      // A file that is half written: the one before stays until it is whole.
      if (isSame) return;
      const name = this.#tls.certificateSecret ?? this.#tls.clients?.secret;
      throw MeshError.is(cause) ? cause : unusable(name, 'can not be used', cause);
    }
  }

  #find(): Material {
    const { certificateSecret, clients } = this.#tls;
    const own = this.#secret(certificateSecret);
    if (own !== undefined && own.kind !== 'certificate')
      throw unusable(certificateSecret, 'is no certificate');
    const validation = this.#secret(clients?.secret);
    if (validation !== undefined && validation.kind !== 'validation')
      throw unusable(clients?.secret, 'is no validation context');
    return {
      secrets: [own, validation],
      certificate: this.#tls.certificate ?? own?.certificate,
      clients: clients === undefined || clients.roots === 'mesh' ? undefined : rootsOf(clients, validation),
      names: [...(clients?.subjectAltNames ?? []), ...(validation?.subjectAltNames ?? [])],
    };
  }

  #secret(name: string | undefined): Secret | undefined {
    if (name === undefined) return undefined;
    const secret = this.#lookup?.get(name);
    if (secret === undefined) throw unusable(name, 'was not supplied (SDS)');
    return secret;
  }
}

/** Envoy: singular fields of the secret replace those of the default context. */
function rootsOf(
  { roots: own, crl, secret }: ClientValidation,
  validation: Extract<Secret, { kind: 'validation' }> | undefined,
): ClientRoots {
  const roots = validation?.roots ?? own;
  if (roots === undefined || roots === 'mesh') throw unusable(secret, 'names no roots');
  if (roots === 'none') throw unusable(secret, 'does not verify clients');
  return { roots, crl: validation?.crl ?? crl };
}

function unusable(name: string | undefined, what: string, cause?: unknown): MeshError {
  const text = `the secret ${JSON.stringify(name)} ${what}`;
  return new MeshError('INMESH_IDENTITY_UNAVAILABLE', text, {
    cause,
    resource: name,
    hint: 'Check that the control plane has it, and that this workload may have it',
  });
}

function filesOf({ certificate, clients }: Material): string[] {
  const sources = [certificate?.chain, certificate?.key, certificate?.password, clients?.roots, clients?.crl];
  return sources.flatMap((source) =>
    typeof source === 'object' && source.kind === 'file' ? [source.path] : [],
  );
}

function optionsOf({ certificate, clients }: Material): TlsOptions {
  return {
    ...(certificate && { cert: pemOf(certificate.chain), key: pemOf(certificate.key) }),
    ...(certificate?.password && { passphrase: pemOf(certificate.password).trimEnd() }),
    // Undefined = the platform's roots.
    ...(clients && { ca: clients.roots === 'system' ? undefined : pemOf(clients.roots) }),
    ...(clients?.crl && { crl: pemOf(clients.crl) }),
  };
}
