import { changeResponse, defineFilter, transformBody } from 'inmesh/filters';

async function* upper(chunks) {
  for await (const chunk of chunks) yield Buffer.from(Buffer.from(chunk).toString().toUpperCase());
}

/** Changes responses while they stream: text becomes upper case. */
export const shout = defineFilter({
  name: 'acme.filters.Shout',
  create: () => (request, next) =>
    changeResponse(request, next, ({ headers }) => {
      if (headers.get('content-type') !== 'text/plain') return undefined;
      headers.set('x-shout', '1');
      return (body) => transformBody(body, upper);
    }),
});
