import type { ClientSync } from '../control-plane.js';
import { counted } from '../runtime/counted.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { age, type Format, print } from './print.js';
import { askStatus } from './status-api.js';
import { syncText } from './sync-text.js';
import { watch } from './watch.js';

/** A client as the status API tells of it. */
export interface Client {
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
  readonly store: { readonly writes: boolean; readonly holder?: string; readonly since: string };
  /** How many workloads are kept though they would be gone, because they are so many. */
  readonly registrationsHeld: number;
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
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly watch?: boolean;
}

/** Shows how far clients are; 1 = one of them is behind, or something was refused or is held back. */
export async function status(
  client: string | undefined,
  options: StatusOptions,
  output: Output,
): Promise<number> {
  if (client !== undefined) return differencesOf(client, options, output);
  const { format } = options;
  const isWide = format === 'wide';
  if (options.watch === true)
    return watch(async () => watched(await ownStatus(options), format), format, output);
  const found = await ownStatus(options);
  const { clients, revision } = found;
  if (format === 'name') output.out(clients.map(({ id }) => `${id}\n`).join(''));
  else
    await print(output, format, found, () => [
      headOf(isWide),
      ...clients.map((one) => rowOf(one, revision, isWide)),
    ]);
  if (format === 'table' || isWide) output.err(`${roleText(found)}\n`);
  const troubles = troublesOf(found);
  for (const one of troubles) output.err(`${one}\n`);
  return troubles.length > 0 || clients.some(({ state }) => state !== 'SYNCED') ? 1 : 0;
}

/** What was refused or is held back. */
function troublesOf({
  clients,
  rejected,
  held,
  revision,
  registrationsHeld,
}: PlaneStatus): readonly string[] {
  const byClients = clients.flatMap(({ id, types }) =>
    types.flatMap(({ type, refused }) =>
      refused.map(({ name, error }) => `${id} refused ${type} ${name}: ${error}`),
    ),
  );
  const refusals =
    rejected === undefined
      ? []
      : [
          `a configuration was refused at ${rejected.at}; revision ${revision} stays in force:`,
          ...rejected.violations.map(({ file, line, message }) => `  ${file}:${line} ${message}`),
        ];
  return [
    ...byClients,
    ...refusals,
    ...(held === undefined ? [] : [`a change of ${held.source} is held back; see inmesh confirm`]),
    ...(registrationsHeld === 0
      ? []
      : [`the end of ${counted(registrationsHeld, 'registration')} is held back; see inmesh confirm`]),
  ];
}

/** Which control plane was asked, in one line. */
function roleText({ version, revision, workloads, store }: PlaneStatus): string {
  const { writes, holder = 'another control plane', since } = store;
  const role = writes ? 'writes its store' : `follows ${holder}`;
  return `control plane ${version}: revision ${revision}, ${counted(workloads, 'workload')}; ${role} since ${since}`;
}

/** What the status API says. */
export async function planeStatus({
  controlPlane: address,
  tokenFile,
  caRoot,
}: PlaneOptions): Promise<PlaneStatus> {
  return (await askStatus({ address, tokenFile, caRoot }, '/api/status')) as PlaneStatus;
}

async function ownStatus(options: StatusOptions): Promise<PlaneStatus> {
  const found = await planeStatus(options);
  const namespace = options.allNamespaces === true ? undefined : options.namespace;
  const clients = found.clients.filter((one) => namespace === undefined || one.namespace === namespace);
  return { ...found, clients };
}

/** The types that istioctl shows a column each. */
const TYPES = ['CDS', 'LDS', 'EDS', 'RDS'] as const;

function headOf(isWide: boolean): readonly string[] {
  const head = ['CLIENT', 'SERVICE', 'VERSION', 'STATE', 'REVISION', ...TYPES, 'AGE'];
  return isWide ? [...head, 'SDS', 'PEER', 'IDENTITY', 'RESOURCES'] : head;
}

function rowOf(client: Client, revision: number, isWide: boolean): readonly string[] {
  const stateOf = (type: string) => client.types.find((one) => one.type === type)?.state ?? '-';
  const row = [
    client.id,
    client.service === '' ? '' : `${client.namespace}/${client.service}`,
    client.version,
    client.state,
    `${client.applied < 0 ? '-' : client.applied}/${revision}`,
    ...TYPES.map(stateOf),
    age(Math.max(0, (Date.now() - client.connectedAtMs) / 1000)),
  ];
  if (!isWide) return row;
  const resources = client.types.map(({ type, resources: count }) => `${type} ${count}`);
  return [...row, stateOf('SDS'), client.peer, client.spiffeId ?? '', resources.join(', ')];
}

function watched({ clients, revision }: PlaneStatus, format: Format) {
  const isWide = format === 'wide';
  const ageAt = headOf(false).indexOf('AGE');
  // What passes by itself is no change.
  const withoutAge = (cells: readonly string[]) => cells.filter((_, index) => index !== ageAt);
  const rows = clients.map((one) => {
    const cells = format === 'name' ? [one.id] : withoutAge(rowOf(one, revision, isWide));
    return [`${one.id} ${one.peer}`, { cells, value: one }] as const;
  });
  return { head: format === 'name' ? [] : withoutAge(headOf(isWide)), rows: new Map(rows) };
}

/** What differs between what the control plane would send now and what one client accepted; 1 = something. */
async function differencesOf(client: string, options: StatusOptions, output: Output): Promise<number> {
  const { controlPlane: address, tokenFile, caRoot, format } = options;
  const path = `/api/sync/${encodeURIComponent(client)}`;
  // As openapi.json says.
  const found = (await askStatus({ address, tokenFile, caRoot }, path)) as ClientSync;
  const { id, differences, same, revision, applied } = found;
  if (format === 'name') output.out(differences.map(({ type, name }) => `${type}/${name}\n`).join(''));
  else if (format === 'json' || format === 'yaml') await print(output, format, found, () => []);
  else output.out(await syncText(found, format === 'wide'));
  const until = applied < 0 ? 'no revision' : `revision ${applied}`;
  output.err(
    differences.length === 0
      ? `${id} has what revision ${revision} has for it: ${counted(same, 'resource')}\n`
      : `${id} has ${until}; of ${same + differences.length} resources ${differences.length} differ from revision ${revision}\n`,
  );
  return differences.length === 0 ? 0 : 1;
}
