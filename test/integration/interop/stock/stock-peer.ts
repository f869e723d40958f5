import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./peer.mjs', import.meta.url));

/** What came of one call of the stock client. */
export interface CallResult {
  readonly code: number;
  /** What the server answered, or the details of the error. */
  readonly name: string;
  readonly ms: number;
  readonly peer: string;
}

/** Calls for the stock client to make. */
export interface CallOptions {
  readonly target: string;
  readonly count?: number;
  readonly parallel?: number;
  readonly method?: 'Say' | 'Other';
  readonly metadata?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
  readonly waitForReady?: boolean;
  readonly mtls?: boolean;
  /** A channel of its own. */
  readonly fresh?: string;
}

/** How many calls ended with which answer, or with which status code. */
export function tallyOf(results: readonly CallResult[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { code, name } of results) {
    const key = code === 0 ? name : String(code);
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/** What the peer's bootstrap says. */
export interface PeerOptions {
  /** `host:port` of the control plane. */
  readonly controlPlane: string;
  readonly id: string;
  readonly metadata?: object;
  /** `region/zone/subzone`. */
  readonly locality?: string;
  /** Where the files of its certificates are. */
  readonly certificates?: { readonly key: string; readonly chain: string; readonly roots: string };
  readonly env?: Readonly<Record<string, string>>;
}

/** A process with the stock grpc-js-xds: client and servers in one. */
export class StockPeer {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #ids = 0;
  #talk = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#talk += text;
    });
    child.on('exit', (code) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`the peer ended with ${code}: ${this.#talk}`));
    });
    // Its pipes are open: spawn was told so.
    createInterface({ input: child.stdout! }).on('line', (line) => this.#take(line));
  }

  static start({ env, ...bootstrap }: PeerOptions): StockPeer {
    const child = spawn(process.execPath, [SCRIPT], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...process.env,
        GRPC_XDS_BOOTSTRAP_CONFIG: bootstrapOf(bootstrap),
        GRPC_XDS_EXPERIMENTAL_RBAC: 'true',
        GRPC_EXPERIMENTAL_XDS_WRR_LB: 'true',
        GRPC_EXPERIMENTAL_PICKFIRST_LB_CONFIG: 'true',
        ...env,
      },
    });
    return new StockPeer(child);
  }

  /** Makes calls and says what came of each. */
  async calls(options: CallOptions): Promise<readonly CallResult[]> {
    return (await this.#ask('calls', options)) as readonly CallResult[];
  }

  /** How many calls ended with which answer, or with which status code. */
  async tally(options: CallOptions): Promise<Readonly<Record<string, number>>> {
    return tallyOf(await this.calls(options));
  }

  /** Starts an XdsServer that answers with its name. */
  async serve(options: {
    readonly name: string;
    readonly address: string;
    readonly mtls?: boolean;
  }): Promise<number> {
    return (await this.#ask('serve', options)) as number;
  }

  async closeChannel(target: string): Promise<void> {
    await this.#ask('close', { target });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
  }

  get stderr(): string {
    return this.#talk;
  }

  #ask(op: string, options: object): Promise<unknown> {
    const id = ++this.#ids;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdin?.write(`${JSON.stringify({ id, op, ...options })}\n`);
    });
  }

  #take(line: string): void {
    const { id, value, error } = JSON.parse(line) as { id: number; value: unknown; error?: string };
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(error));
  }
}

function bootstrapOf({
  controlPlane,
  id,
  metadata,
  certificates,
  locality,
}: Omit<PeerOptions, 'env'>): string {
  return JSON.stringify({
    xds_servers: [
      {
        server_uri: controlPlane,
        channel_creds: [{ type: 'insecure' }],
        server_features: ['xds_v3'],
      },
    ],
    // The stock client refuses a node without locality.
    node: {
      id,
      cluster: 'stock',
      locality: localityOf(locality),
      metadata: { GENERATOR: 'grpc', NAMESPACE: 'default', ...metadata },
    },
    server_listener_resource_name_template: 'xds.istio.io/grpc/lds/inbound/%s',
    ...(certificates !== undefined && {
      certificate_providers: {
        default: {
          plugin_name: 'file_watcher',
          config: {
            certificate_file: certificates.chain,
            private_key_file: certificates.key,
            ca_certificate_file: certificates.roots,
            refresh_interval: '1s',
          },
        },
      },
    }),
  });
}

function localityOf(text = ''): object {
  const [region, zone, subZone] = text.split('/');
  return {
    ...(region && { region }),
    ...(zone && { zone }),
    ...(subZone && { sub_zone: subZone }),
  };
}
