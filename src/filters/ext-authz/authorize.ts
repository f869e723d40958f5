import type { Request } from '../../service/service.js';
import type { AuthzDecision } from './decision.js';
import type { SeenBody } from './request-view.js';

/** What the service is told besides the request. */
export interface AuthzContext {
  /** Undefined when bodies are not sent. */
  readonly body: SeenBody | undefined;
  readonly extensions: Readonly<Record<string, string>>;
}

/** Asks the service about a request. It never rejects: no answer is an answer, too. */
export type Authorize = (request: Request, context: AuthzContext) => Promise<AuthzDecision>;
