// What the four services have in common: join the mesh, serve JSON, leave when told to.
import { createServer } from 'node:http';
import { createMesh } from 'inmesh';

/**
 * Serves JSON as a member of the mesh. `handle(request, mesh)` returns what to answer, or undefined for 404.
 * The address goes to stdout in one line: `listening 127.0.0.1:PORT`.
 */
export async function serve(handle, options = {}) {
  const mesh = await createMesh(options);
  const server = createServer((request, response) => {
    Promise.resolve(handle(request, mesh)).then(
      (answer) => send(response, answer ? (answer.status ?? 200) : 404, answer ?? { error: 'not found' }),
      (error) => send(response, 500, { error: describe(error) }),
    );
  });
  const { address, port } = await mesh.listen(server, Number(process.env.PORT ?? 0));
  console.log(`listening ${address}:${port}`);
  process.once('SIGTERM', () => mesh.close());
  process.once('SIGINT', () => mesh.close());
}

function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

/** Who called, as proved by mTLS: the mesh writes this header, and strips what a caller sends. */
export function callerOf(request) {
  const certificate = request.headers['x-forwarded-client-cert'];
  return certificate === undefined ? 'plaintext' : (/URI=([^;,]+)/.exec(certificate)?.[1] ?? 'unknown');
}

/** The headers that this application hands on, as Istio's sample does. */
export function handOn(request) {
  const names = ['end-user', 'x-request-id', 'user-agent'];
  return Object.fromEntries(
    names.filter((name) => request.headers[name]).map((name) => [name, request.headers[name]]),
  );
}

export function describe(error) {
  const parts = [];
  for (let at = error; at instanceof Error; at = at.cause) parts.push(at.message);
  return parts.join(': ');
}
