import type { AdminRole } from '../access/roles.js';
import type { AdminRequest, Answer } from './http.js';
import type { AdminOptions } from './options.js';

/** Something that a request may ask for. */
export interface AdminRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Whole path; its first group is handed to `answer`. */
  readonly path: RegExp;
  readonly role: AdminRole;
  /** Name in the audit log; without one nothing is written down. */
  readonly action?: string;
  readonly answer: (request: AdminRequest, options: AdminOptions, name: string) => Answer | Promise<Answer>;
}
