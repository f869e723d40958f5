import type { DynamicParameters } from '../model/node.js';
import { MeshError } from '../runtime/errors.js';
import { isLoopback } from '../xds/channel-credentials.js';
import { DEFAULT_REQUEST_RATE, type RequestRate } from '../xds/request-gate.js';
import { isCollection } from '../xds/resource-name.js';
import type { Bootstrap } from './bootstrap/bootstrap.js';
import {
  type AuthoritySpec,
  type ChannelSecurity,
  CLOSE_KEEPALIVE_MS,
  CONTROL_PLANE_PATH,
  NO_FEATURES,
  type ServerSpec,
} from './bootstrap/server-spec.js';
import { bareTarget } from './bootstrap/target.js';
import { fillTemplate } from './listener-names.js';

/** How to reach one management server. */
export interface ControlPlaneServer {
  /** `host:port`, or `unix:/path`. */
  readonly address: string;
  /**
   * `insecure`: plaintext. `tls`: the server proves its name by the platform's roots; with files, by those of `caFile`, and
   * with `certificateFile` and `keyFile` this client proves itself. `mesh`: mutual TLS with this workload's own certificate.
   * Default: `mesh` where `caRootFile` is given, else plaintext to this machine and `tls` to any other. `INMESH_XDS_CREDENTIALS`, `INMESH_XDS_CA`, `INMESH_XDS_CERT`,
   * `INMESH_XDS_KEY`.
   */
  readonly credentials?: 'insecure' | 'tls' | 'mesh' | TlsCredentials;
  /** SPIFFE IDs, or paths of the own trust domain, that the server may have with `mesh`. Default: the control plane's. */
  readonly serverIds?: readonly string[];
  /** File with a JWT that goes along with each stream; it is read again before it expires. `INMESH_XDS_TOKEN`. */
  readonly tokenFile?: string;
  /** What a complete response lacks stays in use (gRFC A53). Default false. */
  readonly ignoreResourceDeletion?: boolean;
  /**
   * Whether gRPC calls follow its `auto_host_rewrite` (gRFC A81); HTTP requests always do. Default true; servers of a
   * bootstrap need `trusted_xds_server`.
   */
  readonly trusted?: boolean;
  /** Interval of pings on an idle connection, in milliseconds. Default 30 000; 300 000 for the servers of a bootstrap. */
  readonly keepaliveMs?: number;
}

/** PEM files of a TLS client; they are read again for each connection. */
export interface TlsCredentials {
  readonly caFile?: string;
  readonly certificateFile?: string;
  readonly keyFile?: string;
}

/** Who answers for `xdstp://` names of one authority (gRFC A47). */
export interface ControlPlaneAuthority {
  /** In order of preference. Default: the servers of the top level. */
  readonly servers?: readonly (string | ControlPlaneServer)[];
  /** Name of the listener of a target; `%s` stands for it. Default `xdstp://<authority>/envoy.config.listener.v3.Listener/%s`. */
  readonly listenerTemplate?: string;
}

/** Where the configuration comes from. */
export interface ControlPlaneOptions {
  /** In order of preference: the next one is asked while the one before fails and something wanted was never answered. */
  readonly servers?: readonly (string | ControlPlaneServer)[];
  /** Those of the bootstrap, and these. */
  readonly authorities?: Readonly<Record<string, ControlPlaneAuthority>>;
  /** One stream for all types (ADS), or one for each. `INMESH_XDS_STREAMS`. Default `aggregated`. */
  readonly streams?: 'aggregated' | 'separate';
  /**
   * Hosts (`host:port`, or `xds://authority/host:port`) whose listeners are asked for by name; `xds://authority/*` is all
   * that the authority has there, with `xdsProtocol` `delta` only. `INMESH_XDS_LISTENERS`.
   */
  readonly listeners?: readonly string[];
  /** Whether to ask for every listener that the server has for this process. `INMESH_XDS_WILDCARD` (`off`). Default true. */
  readonly wildcard?: boolean;
  /**
   * How many requests a stream may send: `maxTokens` at once (default 100), `fillRate` a second (default 10). What waits is
   * merged. Default: any number; the bootstrap's `dynamic_resources.ads_config.rate_limit_settings`.
   */
  readonly rateLimit?: { readonly maxTokens?: number; readonly fillRate?: number };
  /**
   * Context parameters that the server may use for the resources of a type, by type URL (xDS `Node.dynamic_parameters`).
   * Default: the bootstrap's `node.dynamic_parameters`.
   */
  readonly dynamicParameters?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Where the configuration comes from, with every default filled in. */
export interface ResolvedControlPlane {
  readonly servers: readonly ServerSpec[];
  readonly authorities: ReadonlyMap<string, AuthoritySpec>;
  /** Name of the listener of a host, from the bootstrap. */
  readonly outboundTemplate: string;
  readonly dynamicParameters: DynamicParameters;
  /** Listeners to ask for by name. */
  readonly listeners: readonly string[];
  readonly wildcard: boolean;
}

type Env = Readonly<Record<string, string | undefined>>;
const DEFAULT_CONTROL_PLANE = '127.0.0.1:15010';
/** Where the roots of the mesh are given. */
const DEFAULT_SECURE_CONTROL_PLANE = '127.0.0.1:15012';

/**
 * The control plane that code, then environment, then bootstrap name.
 * @throws MeshError `INMESH_OPTION_INVALID`.
 */
export function resolveControlPlane(
  given: string | ControlPlaneOptions | undefined,
  protocol: ServerSpec['protocol'],
  {
    env,
    bootstrap,
    hasRoots = false,
  }: {
    readonly env: Env;
    readonly bootstrap: Bootstrap | undefined;
    /** The roots of the mesh are known before the first certificate is: nothing goes in plaintext. */
    readonly hasRoots?: boolean;
  },
): ResolvedControlPlane {
  const options: ControlPlaneOptions = typeof given === 'string' ? { servers: split(given) } : (given ?? {});
  const streams = streamsOf(options.streams ?? env['INMESH_XDS_STREAMS']);
  const requestRate = rateOf(options.rateLimit, bootstrap);
  const withWays = (one: ServerSpec): ServerSpec => ({
    ...one,
    protocol,
    streams: streams ?? one.streams,
    requestRate,
  });
  const read = (one: string | ControlPlaneServer) => withWays(serverSpec(one, env, hasRoots));
  const named =
    options.servers ?? (env['INMESH_CONTROL_PLANE'] ? split(env['INMESH_CONTROL_PLANE']) : undefined);
  if (named?.length === 0) throw invalid('controlPlane names no server');
  const servers = named?.map(read) ??
    bootstrap?.servers.map(withWays) ?? [
      read(hasRoots ? DEFAULT_SECURE_CONTROL_PLANE : DEFAULT_CONTROL_PLANE),
    ];
  const authorities = new Map(
    [...(bootstrap?.authorities ?? [])].map(([name, one]) => [
      name,
      { ...one, servers: one.servers.map(withWays) },
    ]),
  );
  for (const [name, one] of Object.entries(options.authorities ?? {})) {
    authorities.set(name, {
      servers: (one.servers ?? []).map(read),
      listenerTemplate: templateOf(name, one.listenerTemplate),
    });
  }
  const outboundTemplate = bootstrap?.outboundTemplate ?? '%s';
  const targets = options.listeners ?? split(env['INMESH_XDS_LISTENERS'] ?? '');
  const listeners = targets.map((target) => listenerNameOf(target, { outboundTemplate, authorities }));
  const collection = listeners.find(isCollection);
  if (collection !== undefined && protocol === 'sotw') {
    throw invalid(`the collection ${collection} can't be asked for by xdsProtocol "sotw"`, 'Use "delta"');
  }
  return {
    servers,
    authorities,
    dynamicParameters: dynamicParametersOf(options, bootstrap),
    outboundTemplate,
    listeners,
    wildcard: options.wildcard ?? env['INMESH_XDS_WILDCARD'] !== 'off',
  };
}

/**
 * Name of the listener of an `xds:` target (gRFC A47): `xds:///host:port`, `xds://authority/host:port`, or `host:port`.
 * @throws MeshError `INMESH_OPTION_INVALID` when its authority is not configured.
 */
export function listenerNameOf(
  target: string,
  control: Pick<ResolvedControlPlane, 'outboundTemplate' | 'authorities'>,
): string {
  const match = /^xds:(?:\/\/([^/]*)\/)?(.*)$/s.exec(target);
  const authority = match?.[1] ?? '';
  const path = match?.[2] ?? target;
  if (authority === '') return fillTemplate(control.outboundTemplate, path);
  const known = control.authorities.get(authority);
  if (known !== undefined) return fillTemplate(known.listenerTemplate, path);
  throw invalid(
    `the authority of ${JSON.stringify(target)} is not configured`,
    'Add it to "authorities" of the bootstrap or of createMesh({ controlPlane })',
  );
}

function serverSpec(given: string | ControlPlaneServer, env: Env, hasRoots: boolean): ServerSpec {
  const server = typeof given === 'string' ? { address: given } : given;
  const target = bareTarget(server.address);
  if (target === undefined) {
    throw invalid(
      `controlPlane ${JSON.stringify(server.address)} is not host:port`,
      'For example 127.0.0.1:15010',
    );
  }
  const security = securityOf(server, env, hasRoots);
  const tokenFile = server.tokenFile ?? (env['INMESH_XDS_TOKEN'] || undefined);
  if (tokenFile !== undefined && isPlain(security, target)) {
    throw invalid(
      `a token would go to ${target} in plaintext`,
      'Use credentials "tls", or a caFile, for a server that takes a token',
    );
  }
  return {
    target,
    security,
    tokenFile,
    features: {
      ...NO_FEATURES,
      ignoreResourceDeletion: server.ignoreResourceDeletion ?? false,
      isTrusted: server.trusted ?? true,
    },
    streams: 'aggregated',
    protocol: 'sotw',
    keepaliveMs: keepalive(server.keepaliveMs ?? CLOSE_KEEPALIVE_MS),
  };
}

function securityOf(
  { credentials, serverIds }: ControlPlaneServer,
  env: Env,
  hasRoots: boolean,
): ChannelSecurity {
  const files = {
    caFile: env['INMESH_XDS_CA'] || undefined,
    certificateFile: env['INMESH_XDS_CERT'] || undefined,
    keyFile: env['INMESH_XDS_KEY'] || undefined,
  };
  const hasFiles = files.caFile !== undefined || files.certificateFile !== undefined;
  const chosen =
    credentials ?? (env['INMESH_XDS_CREDENTIALS'] || (hasFiles ? 'tls' : hasRoots ? 'mesh' : undefined));
  if (typeof chosen === 'object') return tls({ ...NO_FILES, ...chosen });
  switch (chosen) {
    case undefined:
      return { kind: 'default' };
    case 'insecure':
      return { kind: 'insecure' };
    case 'tls':
      return tls(credentials === undefined ? files : NO_FILES);
    case 'mesh':
      return { kind: 'mesh', serverIds: serverIds ?? [CONTROL_PLANE_PATH] };
    default:
      throw invalid(`credentials ${JSON.stringify(chosen)} are none of insecure, tls and mesh`);
  }
}

const NO_FILES = { caFile: undefined, certificateFile: undefined, keyFile: undefined };

function tls(files: Omit<Extract<ChannelSecurity, { kind: 'tls' }>, 'kind'>): ChannelSecurity {
  if ((files.certificateFile === undefined) === (files.keyFile === undefined))
    return { kind: 'tls', ...files };
  throw invalid('the credentials of the control plane have one of certificateFile and keyFile, not both');
}

function isPlain(security: ChannelSecurity, target: string): boolean {
  return security.kind === 'insecure' || (security.kind === 'default' && isLoopback(target));
}

function templateOf(authority: string, given: string | undefined): string {
  const prefix = `xdstp://${authority}/`;
  const template = given ?? `${prefix}envoy.config.listener.v3.Listener/%s`;
  if (template.startsWith(prefix)) return template;
  throw invalid(`listenerTemplate ${JSON.stringify(template)} does not begin with ${JSON.stringify(prefix)}`);
}

function streamsOf(given: string | undefined): ServerSpec['streams'] | undefined {
  if (given === undefined || given === '') return undefined;
  if (given === 'aggregated' || given === 'separate') return given;
  throw invalid(`streams ${JSON.stringify(given)} is neither aggregated nor separate`);
}

function keepalive(ms: number): number {
  if (Number.isFinite(ms) && ms >= 1000) return ms;
  throw invalid(`keepaliveMs must be a number of milliseconds from 1000 on, not ${ms}`);
}

function dynamicParametersOf(
  options: ControlPlaneOptions,
  bootstrap: Bootstrap | undefined,
): DynamicParameters {
  return options.dynamicParameters ?? bootstrap?.node.dynamicParameters ?? {};
}

function rateOf(
  given: ControlPlaneOptions['rateLimit'],
  bootstrap: Bootstrap | undefined,
): RequestRate | undefined {
  if (given === undefined) return bootstrap?.requestRate;
  const rate = { ...DEFAULT_REQUEST_RATE, ...given };
  if (!Number.isInteger(rate.maxTokens) || rate.maxTokens < 1)
    throw invalid(`rateLimit.maxTokens must be a whole number from 1 on, not ${rate.maxTokens}`);
  if (!Number.isFinite(rate.fillRate) || rate.fillRate <= 0)
    throw invalid(`rateLimit.fillRate must be a number above 0, not ${rate.fillRate}`);
  return rate;
}

function split(list: string): readonly string[] {
  return list
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

function invalid(what: string, hint?: string): MeshError {
  return new MeshError('INMESH_OPTION_INVALID', what, { hint });
}
