import { gatewayApiStatusFiles } from '../control-plane.js';
import { cellText, fieldsOf, listOf } from './fields.js';
import { kindOf, namespaceOf, type ShownObject } from './objects.js';

/** A condition as the status of an object has it. */
export interface ShownCondition {
  /** Whose: a parent, a listener; empty = the object itself. */
  readonly of: string;
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** The conditions of a status: of the object, of its listeners and towards its parents. */
export function conditionsOf(status: unknown): readonly ShownCondition[] {
  const { conditions, listeners, parents, ancestors } = fieldsOf(status);
  return [
    ...conditionsIn('', conditions),
    ...listOf(listeners).flatMap((one) =>
      conditionsIn(`listener ${cellText(one['name'])}`, one['conditions']),
    ),
    ...listOf(parents).flatMap((one) => conditionsIn(referenceText(one['parentRef']), one['conditions'])),
    ...listOf(ancestors).flatMap((one) => conditionsIn(referenceText(one['ancestorRef']), one['conditions'])),
  ];
}

/** In a cell: `Accepted ResolvedRefs`; what is not so with its reason, `!ResolvedRefs(BackendNotFound)`. */
export function conditionsText(status: unknown): string {
  const all = conditionsOf(status).map(({ type, status: holds, reason }) => {
    // Of Conflicted it is good news that it is not so.
    const isGood = (holds === 'True') !== (type === 'Conflicted');
    if (type === 'Conflicted' && isGood) return '';
    return isGood ? type : `${type === 'Conflicted' ? '' : '!'}${type}(${reason})`;
  });
  return [...new Set(all)].filter((text) => text !== '').join(' ');
}

function referenceText(reference: unknown): string {
  const { kind, name, sectionName } = fieldsOf(reference);
  return `${cellText(kind)} ${cellText(name)}${sectionName === undefined ? '' : `/${cellText(sectionName)}`}`;
}

function conditionsIn(of: string, conditions: unknown): readonly ShownCondition[] {
  return listOf(conditions).map(({ type, status, reason, message }) => ({
    of,
    type: cellText(type),
    status: cellText(status),
    reason: cellText(reason),
    message: cellText(message),
  }));
}

const GROUP = 'gateway.networking.k8s.io/';

/** The objects of files with the status that those of the Gateway API would have; as they are when they are invalid. */
export async function withStatus(
  objects: readonly ShownObject[],
  paths: readonly string[],
): Promise<readonly ShownObject[]> {
  // Standard input was read once, and is gone.
  if (paths.includes('/dev/stdin') || !objects.some(({ apiVersion }) => apiVersion.startsWith(GROUP)))
    return objects;
  const result = await gatewayApiStatusFiles(paths);
  if (!result.accepted) return objects;
  const keyOf = (one: ShownObject) => `${kindOf(one)}/${namespaceOf(one)}/${one.metadata.name}`;
  const statuses = new Map(
    result.statuses.map(({ apiVersion, kind, namespace, name, status }) => [
      keyOf({ apiVersion, kind, metadata: { namespace, name } }),
      status,
    ]),
  );
  return objects.map((one) => {
    const status = statuses.get(keyOf(one));
    return status === undefined ? one : { ...one, status };
  });
}
