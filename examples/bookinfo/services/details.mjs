import { callerOf, serve } from './serve.mjs';

await serve((request) => {
  const id = /^\/details\/(\d+)$/.exec(request.url)?.[1];
  if (id === undefined) return undefined;
  return { id: Number(id), author: 'William Shakespeare', year: 1595, pages: 200, caller: callerOf(request) };
});
