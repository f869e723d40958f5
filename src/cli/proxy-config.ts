import type { Output } from './output.js';
import { type Format, print, table } from './print.js';
import { COLUMNS, matches, type ResourceFilter, rowsOf, type SentResource } from './proxy-config-rows.js';
import { planeStatus, type StatusOptions } from './status.js';
import { askStatus } from './status-api.js';

/** What a client was sent. */
interface SentConfig {
  readonly id: string;
  readonly node?: unknown;
  readonly resources: readonly SentResource[];
}

/** Shows what a client was sent. */
export async function proxyConfig(
  { type, client }: { readonly type: string; readonly client: string },
  options: StatusOptions & ResourceFilter,
  output: Output,
): Promise<number> {
  const { controlPlane: address, tokenFile, caRoot, format } = options;
  const query = type === 'all' || type === 'bootstrap' ? '' : `?type=${type}`;
  const path = `/api/proxy-config/${encodeURIComponent(client)}${query}`;
  // As openapi.json says.
  const found = (await askStatus({ address, tokenFile, caRoot }, path)) as SentConfig;
  if (type === 'bootstrap') return showBootstrap(found, options, output);
  const resources = found.resources.filter((one) => matches(one, options));
  if (format === 'name') output.out(resources.map(({ name }) => `${name}\n`).join(''));
  else if (format === 'json' || format === 'yaml')
    await print(output, format, { ...found, resources }, () => []);
  else if (format === 'wide') output.out(table([STATE_HEAD, ...resources.map(stateRow)]));
  else output.out(tablesOf(type, resources, options));
  return 0;
}

const STATE_HEAD = ['TYPE', 'NAME', 'STATE', 'VERSION', 'ERROR'];

function stateRow({ type, name, state, version = '', error = '' }: SentResource): readonly string[] {
  return [type, name, state, version.slice(0, 12), error];
}

/** A table for each type, as istioctl prints them. */
function tablesOf(type: string, resources: readonly SentResource[], filter: ResourceFilter): string {
  const shown = Object.entries(COLUMNS).filter(([, { short }]) =>
    type === 'all' ? resources.some((one) => one.type === short) : COLUMNS[type]?.short === short,
  );
  return shown
    .map(([, columns]) => {
      const own = resources.filter((one) => one.type === columns.short);
      return table([columns.head, ...own.flatMap((one) => rowsOf(columns, one, filter))]);
    })
    .join('\n');
}

async function showBootstrap(
  { node }: SentConfig,
  options: StatusOptions & { readonly format: Format },
  output: Output,
): Promise<number> {
  const { addresses } = (await planeStatus(options)) as {
    readonly addresses?: { readonly xds?: string; readonly secureXds?: string };
  };
  const { xds = '', secureXds = '' } = addresses ?? {};
  // Without a plaintext port it is the one that speaks TLS.
  const isPlain = xds !== '';
  const server = {
    server_uri: isPlain ? xds : secureXds,
    channel_creds: [{ type: isPlain ? 'insecure' : 'tls' }],
    server_features: ['xds_v3'],
  };
  const { format } = options;
  if (format === 'name') output.out(`${server.server_uri}\n`);
  else await print(output, format === 'yaml' ? 'yaml' : 'json', { xds_servers: [server], node }, () => []);
  return 0;
}
