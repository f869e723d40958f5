import stream from 'node:stream';

/** Not in the types: Node has both, and they know web streams. */
const { isDisturbed, isErrored } = stream as unknown as Record<
  'isDisturbed' | 'isErrored',
  (body: ReadableStream<Uint8Array>) => boolean
>;

/** Cancels the bodies of responses that were collected before anybody read them, as undici's fetch does. */
const unread = new FinalizationRegistry<WeakRef<ReadableStream<Uint8Array>>>((reference) => {
  const body = reference.deref();
  if (body === undefined || body.locked || isDisturbed(body) || isErrored(body)) return;
  body.cancel('Response object has been garbage collected').catch(() => {});
});

/** Frees the connection of a response if the response is dropped with its body unread. */
export function cancelWhenDropped(response: object, body: ReadableStream<Uint8Array>): void {
  unread.register(response, new WeakRef(body));
}
