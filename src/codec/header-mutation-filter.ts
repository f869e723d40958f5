import { create } from '@bufbuild/protobuf';
import type {
  HeaderMutationConfig,
  HeaderMutationRouteConfig,
  HeaderStep,
} from '../model/header-mutation.js';
import { httpHeaderMutation as filter, mutationRules } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeAddition, encodeAddition, headerName, modifiable } from './header-mutation.js';
import { at, type Path, refuse } from './path.js';

const configFields = onlyFields(() => filter.HeaderMutationSchema, {
  enforced: ['mutations', 'most_specific_header_mutations_wins'],
});
const routeFields = onlyFields(() => filter.HeaderMutationPerRouteSchema, { enforced: ['mutations'] });
const mutationFields = onlyFields(() => filter.MutationsSchema, {
  enforced: ['request_mutations', 'response_mutations'],
});
const stepFields = onlyFields(() => mutationRules.HeaderMutationSchema, { enforced: ['remove', 'append'] });

/** The header mutation filter's configuration. */
export function decodeHeaderMutation(message: filter.HeaderMutation, path: Path): HeaderMutationConfig {
  configFields(message, path);
  return {
    kind: 'header-mutation',
    ...decodeSteps(message.mutations, at(path, 'mutations')),
    mostSpecificWins: message.mostSpecificHeaderMutationsWins,
  };
}

/** Its configuration for a route. */
export function decodeHeaderMutationRoute(
  message: filter.HeaderMutationPerRoute,
  path: Path,
): HeaderMutationRouteConfig {
  routeFields(message, path);
  return { kind: 'header-mutation-route', ...decodeSteps(message.mutations, at(path, 'mutations')) };
}

function decodeSteps(
  mutations: filter.Mutations | undefined,
  path: Path,
): { request: readonly HeaderStep[]; response: readonly HeaderStep[] } {
  if (mutations === undefined) return { request: [], response: [] };
  mutationFields(mutations, path);
  return {
    request: mutations.requestMutations.map((one, index) =>
      decodeStep(one, at(path, 'request_mutations', index), requestName),
    ),
    response: mutations.responseMutations.map((one, index) =>
      decodeStep(one, at(path, 'response_mutations', index), modifiable),
    ),
  };
}

/** This filter may replace the pseudo-headers of a request, too. */
function requestName(name: string, path: Path): string {
  return [':method', ':path', ':authority', ':scheme'].includes(name) ? name : headerName(name, path);
}

function decodeStep(
  message: mutationRules.HeaderMutation,
  path: Path,
  nameOf: (name: string, path: Path) => string,
): HeaderStep {
  stepFields(message, path);
  const { action } = message;
  switch (action.case) {
    case 'remove':
      return { kind: 'remove', name: nameOf(action.value, at(path, 'remove')) };
    case 'append':
      return { kind: 'set', addition: decodeAddition(action.value, at(path, 'append'), nameOf) };
    default:
      return refuse(path, 'needs remove or append');
  }
}

/** The header mutation filter's configuration as a message. */
export function encodeHeaderMutation(config: HeaderMutationConfig): filter.HeaderMutation {
  return create(filter.HeaderMutationSchema, {
    mutations: encodeSteps(config),
    mostSpecificHeaderMutationsWins: config.mostSpecificWins,
  });
}

/** Its configuration for a route as a message. */
export function encodeHeaderMutationRoute(config: HeaderMutationRouteConfig): filter.HeaderMutationPerRoute {
  return create(filter.HeaderMutationPerRouteSchema, { mutations: encodeSteps(config) });
}

function encodeSteps(config: HeaderMutationConfig | HeaderMutationRouteConfig): filter.Mutations {
  return create(filter.MutationsSchema, {
    requestMutations: config.request.map(encodeStep),
    responseMutations: config.response.map(encodeStep),
  });
}

function encodeStep(step: HeaderStep): mutationRules.HeaderMutation {
  return create(mutationRules.HeaderMutationSchema, {
    action:
      step.kind === 'remove'
        ? { case: 'remove', value: step.name }
        : { case: 'append', value: encodeAddition(step.addition) },
  });
}
