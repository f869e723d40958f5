import type { NetworkGuard } from '../model/network-guard.js';
import type { Abort } from '../runtime/abort.js';
import { EMPTY_BODY } from '../service/body.js';
import type { Exchange } from '../service/context.js';
import { HeaderMap } from '../service/headers.js';
import type { Request } from '../service/service.js';
import type { Audited } from './filter.js';
import type { FilterMemory } from './filter-memory.js';
import type { GrpcTools } from './grpc-client.js';
import type { JudgeConnection } from './judge-connection.js';
import { networkExtAuthz } from './network-ext-authz.js';
import { networkRbac } from './network-rbac.js';

/** Whether a connection is let in; a promise where somebody is asked. What was decided stands in the exchange. */
export type AdmitConnection = (context: Exchange, abort: Abort) => boolean | Promise<boolean>;

/** What guards work with. */
export interface GuardTools extends GrpcTools {
  readonly filterMemory: FilterMemory;
  readonly audited?: Audited | undefined;
}

/** All of them have to let a connection in, one after the other; undefined when there are none. */
export function networkGuards(
  guards: readonly NetworkGuard[],
  tools: GuardTools,
): AdmitConnection | undefined {
  const tests = guards.map((guard) =>
    guard.kind === undefined
      ? networkRbac(guard, tools.filterMemory, tools.audited)
      : networkExtAuthz(guard, tools, tools.filterMemory),
  );
  return tests.length === 0 ? undefined : (context, abort) => judge(bareRequest(context, abort), tests, 0);
}

function judge(
  request: Request,
  tests: readonly JudgeConnection[],
  from: number,
): boolean | Promise<boolean> {
  for (const [index, test] of tests.entries()) {
    if (index < from) continue;
    const verdict = test(request);
    if (verdict === false) return false;
    if (verdict !== true) return verdict.then((isGood) => isGood && judge(request, tests, index + 1));
  }
  return true;
}

/** Envoy: rules that ask for headers or a path see none. */
function bareRequest(context: Exchange, abort: Abort): Request {
  const head = { method: '', scheme: '', authority: '', path: '', headers: HeaderMap.empty() };
  return { ...head, body: EMPTY_BODY, abort, context };
}
