import type { NetworkExtAuthz } from '../model/network-guard.js';
import { authService } from '../proto/xds.js';
import { compileMetadata } from '../routing/value-match.js';
import { setDynamicMetadata } from '../service/dynamic-metadata.js';
import type { Request } from '../service/service.js';
import { connectionCheck } from './ext-authz/check-request.js';
import type { FilterMemory } from './filter-memory.js';
import { type GrpcTools, grpcClient } from './grpc-client.js';
import type { JudgeConnection } from './judge-connection.js';

const NAMESPACE = 'envoy.filters.network.ext_authz';
const METHOD = {
  path: '/envoy.service.auth.v3.Authorization/Check',
  input: authService.CheckRequestSchema,
  output: authService.CheckResponseSchema,
  defaultTimeoutMs: 200,
} as const;

/** Asks a service whether a connection is let in (Envoy `envoy.filters.network.ext_authz`). */
export function networkExtAuthz(
  config: NetworkExtAuthz,
  tools: GrpcTools,
  memory: FilterMemory,
): JudgeConnection {
  const check = grpcClient(config.service, METHOD, tools);
  const isEnabled = config.enabledMetadata && compileMetadata(config.enabledMetadata);
  const count = (name: string) => {
    memory.counter(`ext_authz.${config.statPrefix}${name}`).value++;
  };
  const refuse = ({ context }: Request, details: string): boolean => {
    count('cx_closed');
    context.flags.push('UAEX');
    context.details = details;
    return false;
  };
  const ask = async (request: Request): Promise<boolean> => {
    let answer: authService.CheckResponse;
    try {
      answer = await check(connectionCheck(request.context, config), request);
    } catch {
      count('error');
      if (!config.failureModeAllow) return refuse(request, 'ext_authz_error');
      count('failure_mode_allowed');
      return true;
    }
    if (answer.dynamicMetadata !== undefined)
      setDynamicMetadata(request.context, NAMESPACE, answer.dynamicMetadata);
    if ((answer.status?.code ?? 0) === 0) {
      count('ok');
      return true;
    }
    count('denied');
    return refuse(request, 'ext_authz_denied');
  };
  return (request) => {
    if (isEnabled?.(request.context.dynamicMetadata) === false) {
      count('disabled');
      return true;
    }
    count('total');
    return ask(request);
  };
}
