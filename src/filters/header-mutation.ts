import type { FilterConfig } from '../model/filter-config.js';
import type { HeaderMutationConfig, HeaderStep } from '../model/header-mutation.js';
import { compileMutations, type HeaderChange } from '../routing/header-mutation.js';
import type { FormatTools } from '../service/format/input.js';
import { formatToolsOf, inputOf } from '../service/format/tools.js';
import { changeHead } from '../service/response-head.js';
import type { Filter, Request } from '../service/service.js';
import type { FilterTools } from './filter.js';

/**
 * Header mutation (Envoy `envoy.filters.http.header_mutation`): the filter's own steps, then those of every level that
 * has some. By default the least specific level comes last and wins.
 */
export function headerMutation(
  config: HeaderMutationConfig,
  layers: readonly FilterConfig[],
  tools: FilterTools,
): Filter | undefined {
  const perRoute = layers.filter((layer) => layer.kind === 'header-mutation-route');
  if (config.mostSpecificWins) perRoute.reverse();
  const all = [config, ...perRoute];
  const format = formatToolsOf(tools.clock);
  const request = all.flatMap((one) => one.request).map((step) => requestStep(step, format));
  const response = compileSteps(
    all.flatMap((one) => one.response),
    format,
  );
  if (request.length === 0 && response === undefined) return undefined;
  return (message, next) => {
    for (const step of request) step(message);
    if (response === undefined) return next(message);
    return changeHead(message, next, (head) => response(head.headers, inputOf(message, head)));
  };
}

/** Each step is a set of its own, so that it sees the ones before. */
function compileSteps(steps: readonly HeaderStep[], format: FormatTools): HeaderChange | undefined {
  return compileMutations(steps.map(setOf), format);
}

function setOf(step: HeaderStep) {
  return step.kind === 'remove' ? { remove: [step.name], add: [] } : { remove: [], add: [step.addition] };
}

const PSEUDO = new Map<string, 'method' | 'path' | 'authority' | 'scheme'>([
  [':method', 'method'],
  [':path', 'path'],
  [':authority', 'authority'],
  ['host', 'authority'],
  [':scheme', 'scheme'],
]);

function requestStep(step: HeaderStep, format: FormatTools): (request: Request) => void {
  const field = PSEUDO.get(step.kind === 'remove' ? step.name : step.addition.name);
  const change = compileMutations([setOf(step)], format);
  if (field === undefined) return (request) => change?.(request.headers, inputOf(request));
  // A pseudo-header is always there and has one value: it can be replaced, and is not removed.
  if (step.kind === 'remove' || step.addition.action === 'add-if-absent') return () => {};
  const { addition } = step;
  const single = compileMutations([{ remove: [], add: [{ ...addition, name: 'x' }] }], format);
  return (request) => {
    const value = request.headers.clone();
    value.delete('x');
    if (addition.action === 'overwrite-if-exists') value.append('x', '');
    single?.(value, inputOf(request));
    const text = value.get('x');
    if (text !== undefined && text !== '') setField(request, field, text);
  };
}

function setField(request: Request, field: 'method' | 'path' | 'authority' | 'scheme', text: string): void {
  request[field] = text;
  if (field === 'authority' && request.headers.has('host')) request.headers.set('host', text);
}
