import type { Exchange } from './context.js';

/** Sets values of a namespace of an exchange's dynamic metadata; other values of it stay. */
export function setDynamicMetadata(
  context: Exchange,
  namespace: string,
  values: Readonly<Record<string, unknown>>,
): void {
  context.dynamicMetadata ??= new Map();
  context.dynamicMetadata.set(namespace, { ...context.dynamicMetadata.get(namespace), ...values });
}
