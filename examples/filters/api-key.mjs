import { defineFilter, reply } from 'inmesh/filters';

/** Lets only those in who know the key, and counts the others. xDS and code configure it. */
export const apiKey = defineFilter({
  name: 'acme.filters.ApiKey',
  parse(value) {
    if (typeof value?.key !== 'string') throw new TypeError('key: must be a text');
    return { key: value.key, header: value.header ?? 'x-api-key' };
  },
  create({ key, header }, { counter }) {
    const refused = counter('refused');
    return async (request, next) => {
      if (request.headers.get(header) === key) return next(request);
      refused.value++;
      return reply(request, { status: 401, json: { error: `no ${header}` }, reason: 'ACME_NO_KEY' });
    };
  },
});
