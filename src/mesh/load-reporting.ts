import type { LoadLedger } from '../cluster/load/load-ledger.js';
import type { XdsClient } from '../xds/client-api.js';
import { LoadReporter, type LoadReporterOptions } from '../xds/load-reporter.js';

/** Where clusters come from. */
type Servers = Pick<XdsClient, 'serverOf' | 'connected'>;

/** Reports what a ledger counts to the servers that sent the clusters, for as long as some ask for it (gRFC A27). */
export class LoadReporting {
  readonly #ledger: LoadLedger;
  readonly #servers: Servers;
  readonly #options: Omit<LoadReporterOptions, 'take' | 'open'>;
  /** By the key of their server. */
  readonly #reporters = new Map<string, LoadReporter>();
  readonly #stopping = new Set<Promise<void>>();
  readonly #unsubscribe: () => void;

  constructor(ledger: LoadLedger, servers: Servers, options: Omit<LoadReporterOptions, 'take' | 'open'>) {
    this.#ledger = ledger;
    this.#servers = servers;
    this.#options = options;
    ledger.onChange(() => this.#follow());
    // A fallback to another server shows there.
    this.#unsubscribe = servers.connected.subscribe(() => this.#follow());
    this.#follow();
  }

  async close(): Promise<void> {
    this.#ledger.onChange(() => {});
    this.#unsubscribe();
    for (const key of this.#reporters.keys()) this.#stop(key);
    await Promise.all(this.#stopping);
  }

  #follow(): void {
    const wanted = new Set<string>();
    for (const name of this.#ledger.names) {
      const server = this.#servers.serverOf(name);
      if (server === undefined || wanted.has(server.key)) continue;
      wanted.add(server.key);
      if (!this.#reporters.has(server.key)) this.#start(server);
    }
    for (const key of this.#reporters.keys()) if (!wanted.has(key)) this.#stop(key);
  }

  #start({ key, open }: NonNullable<ReturnType<Servers['serverOf']>>): void {
    const isOwn = (name: string) => this.#servers.serverOf(name)?.key === key;
    const reporter = new LoadReporter({
      ...this.#options,
      open,
      take: (isNamed, withEndpoints) => this.#ledger.take(isOwn, isNamed, withEndpoints),
    });
    this.#reporters.set(key, reporter);
    reporter.start();
  }

  #stop(key: string): void {
    const reporter = this.#reporters.get(key);
    if (reporter === undefined) return;
    this.#reporters.delete(key);
    const stopping = reporter.stop().finally(() => this.#stopping.delete(stopping));
    this.#stopping.add(stopping);
  }
}
