import type { SecretLookup } from '../../cluster/secret-table.js';
import { TlsMaterial } from '../../mesh/tls-material.js';
import type { Secret } from '../../model/secret.js';
import type { UpstreamTls } from '../../model/tls.js';
import { MeshError } from '../../runtime/errors.js';
import { type NameCheck, serverCheck } from './server-names.js';

/** How a connection is made secure at this moment. */
export interface CurrentTls {
  readonly tls: UpstreamTls;
  readonly material: TlsMaterial;
  readonly verify: NameCheck;
}

/** TLS of a client whose secrets may come and change (SDS): each new connection uses the present ones. */
export class TlsSettings {
  readonly #tls: UpstreamTls;
  readonly #secrets: SecretLookup | undefined;
  #from: readonly (Secret | undefined)[] = [];
  #current: CurrentTls | undefined;

  constructor(tls: UpstreamTls, secrets: SecretLookup | undefined) {
    this.#tls = tls;
    this.#secrets = secrets;
  }

  /** Throws `INMESH_IDENTITY_UNAVAILABLE` while a secret is not there. */
  current(): CurrentTls {
    const { secrets } = this.#tls;
    if (secrets === undefined) {
      this.#current ??= settle(this.#tls);
      return this.#current;
    }
    const from = [this.#find(secrets.certificate), this.#find(secrets.validation)] as const;
    if (this.#current === undefined || from[0] !== this.#from[0] || from[1] !== this.#from[1]) {
      this.#current = settle(merge(this.#tls, ...from));
      this.#from = from;
    }
    return this.#current;
  }

  #find(name: string | undefined): Secret | undefined {
    if (name === undefined) return undefined;
    const secret = this.#secrets?.get(name);
    if (secret !== undefined) return secret;
    throw unusable(name, 'was not supplied (SDS)');
  }
}

function settle(tls: UpstreamTls): CurrentTls {
  return { tls, material: new TlsMaterial(tls), verify: serverCheck(tls) };
}

/** Envoy: singular fields of the secret replace those of the default context, lists are joined. */
function merge(
  { secrets, ...tls }: UpstreamTls,
  certificate: Secret | undefined,
  validation: Secret | undefined,
): UpstreamTls {
  if (certificate !== undefined && certificate.kind !== 'certificate')
    throw unusable(secrets?.certificate, 'is no certificate');
  const proven = certificate === undefined ? tls : { ...tls, certificate: certificate.certificate };
  if (validation === undefined) return proven;
  if (validation.kind !== 'validation') throw unusable(secrets?.validation, 'is no validation context');
  const roots = validation.roots ?? tls.roots;
  if (roots === undefined) throw unusable(secrets?.validation, 'names no roots');
  return {
    ...proven,
    roots: roots === 'system' ? undefined : roots,
    crl: validation.crl ?? tls.crl,
    subjectAltNames: [...tls.subjectAltNames, ...validation.subjectAltNames],
  };
}

function unusable(name: string | undefined, what: string): MeshError {
  return new MeshError('INMESH_IDENTITY_UNAVAILABLE', `the secret ${JSON.stringify(name)} ${what}`, {
    resource: name,
    hint: 'Check that the control plane has it, and that this workload may have it',
  });
}
