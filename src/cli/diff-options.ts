import type { ObjectQuery } from './objects.js';

/** What `inmesh diff` was asked for. */
export interface DiffOptions extends ObjectQuery {
  readonly against?: readonly string[];
  readonly from?: number;
  readonly to?: number;
  readonly requests?: string;
  readonly resources?: boolean;
  readonly format: 'table' | 'json' | 'yaml' | 'name';
}
