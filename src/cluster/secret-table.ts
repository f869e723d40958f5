import type { Secret } from '../model/secret.js';

/** Where connections find the secrets that their configuration names. */
export interface SecretLookup {
  get(name: string): Secret | undefined;
}

/** The secrets of the configuration in force: new connections see a new one, no cluster is built again. */
export class SecretTable implements SecretLookup {
  #secrets: ReadonlyMap<string, Secret> = new Map();

  get(name: string): Secret | undefined {
    return this.#secrets.get(name);
  }

  replace(secrets: ReadonlyMap<string, Secret>): void {
    this.#secrets = secrets;
  }
}
