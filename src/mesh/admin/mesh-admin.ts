import type { Clusters } from '../../cluster/clusters.js';
import { encodeNode } from '../../codec/node.js';
import type { Node } from '../../model/node.js';
import { NO_RUNTIME, type RuntimeLayerSource } from '../../model/runtime.js';
import { compileRegex } from '../../routing/regex.js';
import { MeshError } from '../../runtime/errors.js';
import type { XdsClient } from '../../xds/client-api.js';
import { answerClientStatus, type ClientView } from '../../xds/client-status.js';
import { configDump, DUMP_LISTS } from '../../xds/config-dump.js';
import { clustersJson, clustersText } from './clusters-page.js';
import { runtimePage } from './runtime-page.js';

/** The configuration in force, in the form of Envoy's `/config_dump`. */
export interface ConfigDump {
  readonly configs: readonly Readonly<Record<string, unknown>>[];
}

/** What of the configuration is to be shown. */
export interface ConfigDumpOptions {
  /** Endpoints are shown, too. Default false, as in Envoy. */
  readonly includeEds?: boolean | undefined;
  /** Only the entries of one list, e.g. `dynamic_active_clusters`. */
  readonly resource?: string | undefined;
  /** Only resources whose whole names this matches (RE2). */
  readonly nameRegex?: string | undefined;
}

/** What a mesh shows of itself to people and tools. It only reads. */
export class MeshAdmin {
  readonly #xds: XdsClient;
  readonly #clusters: Clusters;
  readonly #node: () => Node;
  readonly #runtime: readonly RuntimeLayerSource[];

  constructor(
    xds: XdsClient,
    clusters: Clusters,
    node: () => Node,
    runtime: readonly RuntimeLayerSource[] = [],
  ) {
    this.#runtime = runtime;
    this.#xds = xds;
    this.#clusters = clusters;
    this.#node = node;
  }

  /**
   * Answers a ClientStatusRequest with a ClientStatusResponse, both as bytes.
   * @throws Error for what is no such request, and for those that choose nodes
   */
  clientStatus(request: Uint8Array): Uint8Array {
    return answerClientStatus(request, this.#view());
  }

  /**
   * The configuration in force as Envoy shows it, without secrets.
   * @throws MeshError `INMESH_OPTION_INVALID` for a list that there is not, `INMESH_CONFIG_INVALID` for a bad `nameRegex`.
   */
  configDump({ includeEds, resource, nameRegex }: ConfigDumpOptions = {}): ConfigDump {
    if (resource !== undefined && !DUMP_LISTS.has(resource)) {
      throw new MeshError('INMESH_OPTION_INVALID', `${resource} not found in config dump`, {
        hint: `There are ${[...DUMP_LISTS].join(', ')}`,
      });
    }
    const isNamed = nameRegex === undefined ? undefined : compileRegex(nameRegex);
    return configDump(this.#view(), { includeEds, resource, isNamed });
  }

  /** Envoy's `/clusters`. */
  clusters(format: 'text' | 'json'): string {
    const clusters = [...this.#clusters.values()];
    return format === 'json' ? JSON.stringify(clustersJson(clusters), null, 1) : clustersText(clusters);
  }

  /** Envoy's `/runtime`. */
  runtime(): string {
    const { snapshot } = this.#xds.published.value;
    const page = runtimePage(this.#runtime, this.#xds.status(), snapshot.runtime ?? NO_RUNTIME);
    return JSON.stringify(page, null, 1);
  }

  #view(): ClientView {
    return { node: encodeNode(this.#node()), resources: this.#xds.status() };
  }
}
