import type { FieldPath } from '../../kinds/view.js';
import type { PlainValue } from '../../schema/value.js';
import { field, list, map } from '../plain.js';

/** A destination of a VirtualService with the way to it. */
export interface RouteDestination {
  readonly destination: PlainValue;
  readonly path: FieldPath;
  /** Whether it gets copies of requests only. */
  readonly isMirror: boolean;
}

/** Every destination of a VirtualService, mirrors among them. */
export function destinationsOf(spec: PlainValue): readonly RouteDestination[] {
  const found: RouteDestination[] = [];
  const add = (destination: PlainValue | undefined, path: FieldPath, isMirror = false): void => {
    if (destination !== undefined) found.push({ destination, path, isMirror });
  };
  for (const protocol of ['tcp', 'tls', 'http'] as const) {
    for (const [i, route] of list(spec, protocol).entries()) {
      const path = ['spec', protocol, i];
      for (const [j, one] of list(route, 'route').entries()) {
        add(map(one, 'destination'), [...path, 'route', j, 'destination']);
      }
      if (protocol !== 'http') continue;
      add(map(route, 'mirror'), [...path, 'mirror'], true);
      for (const [j, one] of list(route, 'mirrors').entries()) {
        add(field(one, 'destination'), [...path, 'mirrors', j, 'destination'], true);
      }
    }
  }
  return found;
}
