import { type Output, version } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { print } from './print.js';
import { callPlane } from './status-api.js';

/** Tells the versions of this program and of the control plane, and warns of two that may not understand each other. */
export async function showVersion(
  options: PlaneOptions & { readonly format: 'table' | 'json' | 'yaml' },
  output: Output,
): Promise<number> {
  const controlPlane = await planeVersion(options);
  const warning = controlPlane === undefined ? undefined : skewWarning(version, controlPlane);
  const found = { client: version, node: process.version, controlPlane: controlPlane ?? null, warning };
  await print(output, options.format, found, () => [
    ['inmesh', version],
    ['node', process.version],
    ['control plane', controlPlane ?? 'does not answer'],
  ]);
  if (warning !== undefined) output.err(`${warning}\n`);
  return 0;
}

async function planeVersion({ controlPlane: address, tokenFile, caRoot }: PlaneOptions) {
  const answer = await callPlane({ address, tokenFile, caRoot }, '/version', { method: 'GET' }).catch(
    () => undefined,
  );
  const body = answer?.body;
  return typeof body === 'object' && body !== null && 'version' in body ? String(body.version) : undefined;
}

/** What may go wrong between two versions: as with Kubernetes, one minor version of difference is fine. */
export function skewWarning(client: string, controlPlane: string): string | undefined {
  const [a, b] = [partsOf(client), partsOf(controlPlane)];
  if (a === undefined || b === undefined) return undefined;
  const isNear = a.major === b.major && Math.abs(a.minor - b.minor) <= 1;
  if (isNear) return undefined;
  const older =
    a.major < b.major || (a.major === b.major && a.minor < b.minor) ? 'this program' : 'the control plane';
  return `warning: this program is version ${client}, the control plane ${controlPlane}; more than one minor version apart they may not understand each other. Update ${older}`;
}

function partsOf(text: string): { readonly major: number; readonly minor: number } | undefined {
  const [, major, minor] = /^v?(\d+)\.(\d+)\./.exec(text) ?? [];
  return major === undefined || minor === undefined
    ? undefined
    : { major: Number(major), minor: Number(minor) };
}
