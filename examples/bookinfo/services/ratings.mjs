import { callerOf, serve } from './serve.mjs';

await serve((request) => {
  const id = /^\/ratings\/(\d+)$/.exec(request.url)?.[1];
  if (id === undefined) return undefined;
  return { id: Number(id), ratings: { Reviewer1: 5, Reviewer2: 4 }, caller: callerOf(request) };
});
