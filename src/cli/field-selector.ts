import { MeshError } from '../runtime/errors.js';
import { namespaceOf, type ShownObject } from './objects.js';

const CONDITION = /^([\w.[\]/-]+?)\s*(==|=|!=)\s*(.*)$/;

/** The fields by which Kubernetes selects objects of every kind. */
const FIELDS = {
  'metadata.name': ({ metadata }: ShownObject) => metadata.name,
  'metadata.namespace': namespaceOf,
} as const;
const isField = (name: string): name is keyof typeof FIELDS => Object.hasOwn(FIELDS, name);

/**
 * Fields as kubectl selects by them: `metadata.name=a`, `metadata.namespace!=b`; those with commas between have to hold
 * together.
 * @throws MeshError `INMESH_OPTION_INVALID`.
 */
export function fieldSelectorOf(texts: readonly string[]): (object: ShownObject) => boolean {
  const conditions = texts
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map(conditionOf);
  return (object) => conditions.every((holds) => holds(object));
}

function conditionOf(text: string): (object: ShownObject) => boolean {
  const [, name = '', sign, wanted] = CONDITION.exec(text) ?? [];
  if (sign !== undefined && isField(name)) {
    const fieldOf = FIELDS[name];
    return (object) => (fieldOf(object) === wanted) === (sign !== '!=');
  }
  throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(text)} selects no field`, {
    hint: `Fields are ${Object.keys(FIELDS).join(' and ')}, by = or !=; for others take -o jsonpath with a filter`,
  });
}
