import { TRUST_SECRET } from './trust.js';

const PRODUCT = 'inmesh';

/** What our control plane says of itself in each response (xDS `control_plane.identifier`). */
export function controlPlaneIdentifier(version: string): string {
  return `${PRODUCT}/${version}`;
}

/** Whether a server is ours, by what it says of itself. */
export function isOurs(identifier: string | undefined): boolean {
  return identifier?.startsWith(`${PRODUCT}/`) === true;
}

/** Whether nobody but our control plane can have a resource of this name. */
export function isOursAlone(name: string): boolean {
  return name === TRUST_SECRET;
}
