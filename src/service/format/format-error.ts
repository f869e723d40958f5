import { MeshError } from '../../runtime/errors.js';

/** Refuses a format string: the configuration that holds it must not be accepted. */
export function invalidFormat(format: string, what: string): never {
  throw new MeshError('INMESH_CONFIG_INVALID', `the format ${JSON.stringify(format)} ${what}`, {
    hint: 'Operators are %NAME%, %NAME(argument)% and %NAME(argument):length%; a percent sign is %%',
  });
}
