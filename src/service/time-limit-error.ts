/** A time limit of the mesh is over: the reason of the abort that it made. */
export class TimeLimitError extends Error {
  override readonly name: string = 'TimeLimitError';
}
