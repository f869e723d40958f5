import type { PathRules } from '../model/request-processing.js';
import { normalizePath } from '../routing/normalize-path.js';
import { isUntrusted } from '../routing/untrusted-headers.js';
import type { LocalReply } from '../service/local-reply.js';

/** What happens to a request before the router, any policy, any log or the application looks at it: they all see the same. */
export interface Door {
  /** The path as it goes on, or the answer to a request that does not. */
  readonly path: (path: string) => string | LocalReply;
  /** Whether a header (its name in lower case) is taken off what comes from outside the mesh. */
  readonly isUntrusted: (name: string) => boolean;
}

/** What stands before a chain that says what is done to paths. */
export function createDoor(rules: PathRules): Door {
  return { path: (path) => normalized(path, rules), isUntrusted };
}

function normalized(path: string, rules: PathRules): string | LocalReply {
  const verdict = normalizePath(path, rules);
  if (verdict.kind === 'continue') return verdict.path;
  const reply = { body: '', details: 'path_normalization_failed', reason: 'INMESH_PATH_REFUSED' } as const;
  if (verdict.kind === 'reject') return { ...reply, status: 400 };
  return {
    ...reply,
    status: 307,
    details: 'path_normalization_redirect',
    headers: [['location', verdict.path]],
  };
}
