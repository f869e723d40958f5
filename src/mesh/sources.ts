import type { LoadLedger } from '../cluster/load/load-ledger.js';
import { type CaSource, createCaSource } from '../identity/ca-source.js';
import { federate } from '../identity/federated-source.js';
import { followFiles } from '../identity/file-rotation.js';
import { createIdentityCache } from '../identity/identity-cache.js';
import { staticSource } from '../identity/source.js';
import { TRUST_SECRET } from '../model/trust.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import type { Observer } from '../service/observer.js';
import { createSnapshotCache } from '../xds/cache.js';
import type { CredentialsSource } from '../xds/channel-credentials.js';
import { createXdsClient } from '../xds/client.js';
import type { XdsClient } from '../xds/client-api.js';
import { OLD_STYLE } from '../xds/resource-name.js';
import type { ServerSpec } from './bootstrap/server-spec.js';
import { createFederation } from './federation-option.js';
import { createChosenIdentity } from './identity-option.js';
import { joining } from './joining.js';
import { LoadReporting } from './load-reporting.js';
import { describeNode } from './node.js';
import type { ResolvedMeshOptions } from './options.js';
import { type CredentialTools, connectable, credentialsOf } from './server-credentials.js';

/** What the sources of a mesh work with. */
export interface SourceTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The source of this workload's certificate, and of the bundles of trust domains that it is federated with. */
export function createIdentity(options: ResolvedMeshOptions, tools: SourceTools): CaSource {
  const identity = createOwnIdentity(options, tools);
  return federate(identity, createFederation(options.federation, identity, options.cacheDir, tools));
}

/** The mesh's authority, with what it issued last on disk; or what was chosen in its stead. */
function createOwnIdentity(options: ResolvedMeshOptions, { clock, random, logger }: SourceTools): CaSource {
  const { namespace, serviceAccount, cacheDir, identity, identityFiles } = options;
  if (identity !== undefined) return createChosenIdentity(identity, { clock, random, logger });
  if (identityFiles !== undefined) return followFiles({ ...identityFiles, clock, random, logger });
  const tools = { clock, random };
  let source: CaSource | undefined;
  const joinTools = { clock, random, current: () => source?.svid() };
  const { credentials, callMetadata } = joining(options.join, options.certificateAuthority, joinTools);
  const isControlPlane = options.certificateAuthority === options.controlPlane;
  source = createCaSource({
    target: options.certificateAuthority,
    credentials: credentials ?? authorityCredentials(options, options.certificateAuthority, tools),
    callMetadata,
    // Whoever stands in for the control plane stands in for its authority.
    fallbacks: options.control.servers
      .slice(isControlPlane ? 1 : options.control.servers.length)
      .map(({ target }) => ({
        target,
        credentials: credentials ?? authorityCredentials(options, target, tools),
      })),
    identity: { namespace, serviceAccount },
    instance: describeNode(options, []).id,
    clock,
    random,
    logger,
    ...(cacheDir !== undefined && {
      // Two meshes on one machine must not take each other's: the address of the authority tells them apart.
      cache: createIdentityCache({
        dir: cacheDir,
        key: `${options.certificateAuthority}.${namespace}.${serviceAccount}`,
      }),
    }),
  });
  return source;
}

/** An authority behind the same address as the control plane is trusted, and called, as that is. */
function authorityCredentials(
  { control }: ResolvedMeshOptions,
  authority: string,
  tools: Omit<CredentialTools, 'identity'>,
): CredentialsSource | undefined {
  const server = control.servers.find(({ target }) => target === authority);
  // Whoever asks for a certificate has none yet.
  if (server === undefined || server.security.kind === 'mesh') return undefined;
  if (server.security.kind === 'default' && server.tokenFile === undefined) return undefined;
  return credentialsOf(server, { ...tools, identity: staticSource(undefined, []) });
}

/** Two meshes on one machine must not take each other's configuration: the preferred server tells them apart. */
function cacheOwner({ control, controlPlane }: ResolvedMeshOptions, authority: string): string {
  if (authority === OLD_STYLE) return controlPlane;
  return `${authority} ${control.authorities.get(authority)?.servers[0]?.target ?? controlPlane}`;
}

/** The source of configuration: the control plane, with what it sent last on disk. */
export function createXds(
  options: ResolvedMeshOptions,
  tools: SourceTools & Pick<CredentialTools, 'identity'>,
  observer: Observer,
): XdsClient {
  const { cacheDir, namespace, service, version, control } = options;
  const connect = (spec: ServerSpec) => connectable(spec, tools);
  return createXdsClient({
    node: describeNode(options, []),
    servers: control.servers.map(connect),
    authorities: new Map([...control.authorities].map(([name, { servers }]) => [name, servers.map(connect)])),
    outboundNames: control.listeners,
    wildcard: control.wildcard,
    runtime: options.runtime,
    // Whoever awaits the configuration keeps the process alive, not the wait for it.
    holdsProcess: false,
    clusterNames: [
      ...(options.localCluster === undefined ? [] : [options.localCluster]),
      ...options.custom.clusters,
    ],
    // Who has its identity from elsewhere has its roots from there, too; servers that are not ours are not asked.
    ...(options.identityFiles === undefined && { secretNames: [TRUST_SECRET] }),
    customFilters: {
      find: (name) => options.custom.find(name),
      knowsLocalCluster: options.localCluster !== undefined,
      providers: options.providers,
    },
    clock: tools.clock,
    random: tools.random,
    logger: tools.logger,
    observer,
    ...(cacheDir !== undefined && {
      cacheOf: (authority: string) =>
        createSnapshotCache({
          dir: cacheDir,
          key: `${cacheOwner(options, authority)} ${namespace}.${service}.${version}`,
          clock: tools.clock,
        }),
    }),
  });
}

/** Reports what is counted to the control planes that sent the clusters, where clusters ask for it. */
export function createLoadReporting(
  options: ResolvedMeshOptions,
  { clock, random, logger }: SourceTools,
  ledger: LoadLedger,
  xds: XdsClient,
): LoadReporting {
  return new LoadReporting(ledger, xds, { node: describeNode(options, []), clock, random, logger });
}

/** How long a start with a cached configuration waits for the control plane's, in milliseconds. */
const FRESH_WAIT_MS = 1_000;

/**
 * With a configuration from the cache, waits for the control plane's own: the endpoints of a cache are those of before.
 * A control plane that does not answer ends the wait at once.
 */
export function waitForFresh(xds: XdsClient, waitMs: number, clock: Clock): Promise<void> {
  const isFresh = () =>
    xds.published.value.source !== 'cache' || xds.connected.value.state === 'disconnected';
  if (isFresh()) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      timer.cancel();
      for (const unsubscribe of unsubscribes) unsubscribe();
      resolve();
    };
    const check = () => isFresh() && finish();
    const timer = clock.schedule(Math.min(waitMs, FRESH_WAIT_MS), finish, true);
    const unsubscribes = [xds.published.subscribe(check), xds.connected.subscribe(check)];
  });
}
