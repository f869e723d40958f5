import type { AdminRole } from '../access/roles.js';
import type { AdminRequest, Answer } from './http.js';
import type { AdminOptions } from './options.js';

/** Something that a request may ask for. */
export interface AdminRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** As in the OpenAPI document: `/api/history/{revision}`. */
  readonly path: string;
  readonly role: AdminRole;
  /** Name in the audit log; without one nothing is written down. */
  readonly action?: string;
  /** `names` are what stands for the braces of the path. */
  readonly answer: (
    request: AdminRequest,
    options: AdminOptions,
    ...names: string[]
  ) => Answer | Promise<Answer>;
}

/** Whether a path is one of a route: the values of its names, decoded, or undefined. */
export function matchRoute({ path: template }: AdminRoute, path: string): readonly string[] | undefined {
  const [wanted, given] = [template.split('/'), path.split('/')];
  if (wanted.length !== given.length) return undefined;
  const names: string[] = [];
  for (const [index, segment] of wanted.entries()) {
    const own = given[index] ?? '';
    if (!segment.startsWith('{')) {
      if (segment !== own) return undefined;
    } else if (own === '') return undefined;
    else names.push(decode(own));
  }
  return names;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
