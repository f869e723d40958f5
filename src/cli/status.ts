import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { type Format, print } from './print.js';
import { askStatus } from './status-api.js';

/** A client as the status API tells of it. */
interface Client {
  readonly id: string;
  readonly service: string;
  readonly namespace: string;
  readonly version: string;
  readonly peer: string;
  readonly spiffeId?: string;
  readonly connectedAtMs: number;
  readonly applied: number;
  readonly state: string;
  readonly types: readonly {
    readonly type: string;
    readonly state: string;
    readonly resources: number;
    readonly error?: string;
    readonly refused: readonly { readonly name: string; readonly error: string }[];
  }[];
}

/** What is known of the control plane. */
export interface PlaneStatus {
  readonly version: string;
  readonly trustDomain: string;
  readonly revision: number;
  readonly rejected?: {
    readonly at: string;
    readonly violations: readonly {
      readonly message: string;
      readonly file: string;
      readonly line: number;
    }[];
  };
  readonly held?: {
    readonly source: string;
    readonly removals: readonly { readonly sort: string; readonly removed: number; readonly total: number }[];
  };
  readonly warnings: readonly object[];
  readonly workloads: number;
  readonly clients: readonly Client[];
}

/** What `inmesh status` was asked for. */
export interface StatusOptions extends PlaneOptions {
  readonly format: Format;
}

/** Shows how far clients are; 1 = one of them is behind, or something was refused or is held back. */
export async function status(
  client: string | undefined,
  options: StatusOptions,
  output: Output,
): Promise<number> {
  if (client !== undefined) return differencesOf(client, options, output);
  const found = await planeStatus(options);
  const { clients, rejected, held, revision } = found;
  if (options.format === 'name') output.out(clients.map(({ id }) => `${id}\n`).join(''));
  else await print(output, options.format, found, () => rowsOf(found, options.format === 'wide'));
  if (rejected !== undefined) {
    output.err(`a configuration was refused at ${rejected.at}; revision ${revision} stays in force:\n`);
    for (const { file, line, message } of rejected.violations) output.err(`  ${file}:${line} ${message}\n`);
  }
  if (held !== undefined) output.err(`a change of ${held.source} is held back; see inmesh confirm\n`);
  const isBehind = clients.some(({ state }) => state !== 'SYNCED');
  return isBehind || rejected !== undefined || held !== undefined ? 1 : 0;
}

/** What the status API says. */
export async function planeStatus({
  controlPlane: address,
  tokenFile,
  caRoot,
}: PlaneOptions): Promise<PlaneStatus> {
  return (await askStatus({ address, tokenFile, caRoot }, '/api/status')) as PlaneStatus;
}

function rowsOf({ clients, revision }: PlaneStatus, isWide: boolean): readonly (readonly string[])[] {
  const head = [
    'CLIENT',
    'SERVICE',
    'VERSION',
    'STATE',
    'REVISION',
    ...(isWide ? ['PEER', 'IDENTITY', 'RESOURCES'] : []),
  ];
  return [
    head,
    ...clients.map((one) => [
      one.id,
      one.service === '' ? '' : `${one.namespace}/${one.service}`,
      one.version,
      one.state,
      `${one.applied < 0 ? '-' : one.applied}/${revision}`,
      ...(isWide
        ? [
            one.peer,
            one.spiffeId ?? '',
            one.types.map(({ type, resources }) => `${type} ${resources}`).join(', '),
          ]
        : []),
    ]),
  ];
}

/** A resource as `proxy-config` tells of it. */
export interface SentResource {
  readonly type: string;
  readonly name: string;
  readonly state: string;
  readonly error?: string;
  readonly version?: string;
  readonly resource?: unknown;
}

/** What a client was sent. */
export interface SentConfig {
  readonly id: string;
  readonly node?: unknown;
  readonly resources: readonly SentResource[];
}

/** What differs between the control plane and one client. */
async function differencesOf(client: string, options: StatusOptions, output: Output): Promise<number> {
  const { id, resources } = await sentConfig(client, undefined, options);
  const different = resources.filter(({ state }) => state !== 'accepted');
  const shown = different.map(({ resource: _resource, ...rest }) => rest);
  const { format } = options;
  if (format === 'name') output.out(different.map(({ name }) => `${name}\n`).join(''));
  else {
    await print(output, format, { id, synced: different.length === 0, differences: shown }, () => [
      ['TYPE', 'RESOURCE', 'STATE', 'ERROR'],
      ...different.map((one) => [one.type, one.name, one.state, one.error ?? '']),
    ]);
  }
  if (different.length === 0)
    output.err(`${id} has what the control plane has: ${resources.length} resources\n`);
  return different.some(({ state }) => state !== 'absent') ? 1 : 0;
}

/** What a client was sent, of one type or all. */
export async function sentConfig(
  client: string,
  type: string | undefined,
  { controlPlane: address, tokenFile, caRoot }: PlaneOptions,
): Promise<SentConfig> {
  const query = type === undefined ? '' : `?type=${type}`;
  const path = `/api/proxy-config/${encodeURIComponent(client)}${query}`;
  return (await askStatus({ address, tokenFile, caRoot }, path)) as SentConfig;
}

/** Shows what a client was sent. */
export async function proxyConfig(
  { type, client }: { readonly type: string; readonly client: string },
  options: StatusOptions,
  output: Output,
): Promise<number> {
  const isBootstrap = type === 'bootstrap';
  const found = await sentConfig(client, isBootstrap ? undefined : type, options);
  const { format } = options;
  if (isBootstrap) {
    const { xds = '' } =
      ((await planeStatus(options)) as { readonly addresses?: { readonly xds?: string } }).addresses ?? {};
    const servers = [{ server_uri: xds, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }];
    await print(
      output,
      format === 'yaml' ? 'yaml' : 'json',
      { xds_servers: servers, node: found.node },
      () => [],
    );
    return 0;
  }
  if (format === 'name') output.out(found.resources.map(({ name }) => `${name}\n`).join(''));
  else {
    await print(output, format, found, () => [
      ['TYPE', 'NAME', 'STATE', 'VERSION'],
      ...found.resources.map((one) => [one.type, one.name, one.state, (one.version ?? '').slice(0, 12)]),
    ]);
  }
  return 0;
}

/** Waits until clients have a revision; 1 = not all had it in time. */
export async function waitApplied(
  options: PlaneOptions & { readonly revision?: number; readonly timeout: number; readonly format: Format },
  output: Output,
): Promise<number> {
  const { callPlane, errorOf } = await import('./status-api.js');
  const { controlPlane: address, tokenFile, caRoot, revision, timeout } = options;
  const query = new URLSearchParams({ timeoutMs: String(timeout) });
  if (revision !== undefined) query.set('revision', String(revision));
  const { body } = await callPlane({ address, tokenFile, caRoot }, `/api/applied?${query}`, {
    method: 'GET',
  });
  const error = errorOf(body);
  if (error !== undefined) {
    output.err(`${error.message}\n`);
    return 2;
  }
  const report = body as {
    readonly revision: number;
    readonly isApplied: boolean;
    readonly missing: readonly Client[];
  };
  await print(output, options.format, report, () =>
    report.isApplied
      ? [[`revision ${report.revision} is applied everywhere`]]
      : [
          ['CLIENT', 'STATE', 'REVISION'],
          ...report.missing.map(({ id, state, applied }) => [id, state, String(applied)]),
        ],
  );
  return report.isApplied ? 0 : 1;
}
