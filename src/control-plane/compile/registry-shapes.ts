import type { RegisteredService, RegistrySnapshot } from '../registry/snapshot.js';

/**
 * Numbers what of the registry matters beyond addresses: which services, versions and identities there are. Snapshots that
 * follow each other and differ in addresses alone have the same number.
 */
export class RegistryShapes {
  #last: RegistrySnapshot | undefined;
  #number = 0;
  readonly #texts = new WeakMap<RegisteredService, string>();

  of(registry: RegistrySnapshot): number {
    const last = this.#last;
    if (last === registry) return this.#number;
    this.#last = registry;
    if (last === undefined || this.#differ(last, registry)) this.#number++;
    return this.#number;
  }

  #differ(before: RegistrySnapshot, after: RegistrySnapshot): boolean {
    for (const [, then, now] of before.services.changesTo(after.services)) {
      if (then === undefined || now === undefined || this.#textOf(then) !== this.#textOf(now)) return true;
    }
    return false;
  }

  #textOf(registered: RegisteredService): string {
    let text = this.#texts.get(registered);
    if (text === undefined) {
      const lines = registered.workloads.map((one) => {
        const { labels, serviceAccount, portName, port, protocol, group, health } = one;
        const number = portName === '' && protocol === '' ? 0 : port;
        return JSON.stringify([labels, serviceAccount, portName, number, protocol, group, health]);
      });
      text = [...new Set(lines)].sort().join('\n');
      this.#texts.set(registered, text);
    }
    return text;
  }
}
