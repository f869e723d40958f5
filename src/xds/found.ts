/**
 * A resource, or why there is none: not answered yet; known not to exist; sent, but refused and never held before.
 */
export type Found<T extends object> = T | 'pending' | 'absent' | 'refused';
