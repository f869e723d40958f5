import { readFile } from 'node:fs/promises';
import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { codeOf, MeshError, messageOf } from '../runtime/errors.js';

/** The status API of a running control plane, and how to be let in. */
export interface StatusApi {
  /** `host:port`, or a URL. */
  readonly address: string;
  /** File with a bearer token, such as `admin.token` in the data folder. */
  readonly tokenFile?: string | undefined;
  /** PEM of the roots of the mesh: the control plane is called over TLS, and has to prove itself by them. */
  readonly caRoot?: string | undefined;
}

/** Longer than the longest wait for clients. */
const TIMEOUT_MS = 310_000;
const CONNECT_TIMEOUT_MS = 10_000;
const MAX_BYTES = 64 * 1024 * 1024;

/** What is sent besides the path. */
export interface PlaneCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** As JSON. */
  readonly body?: unknown;
}

/** An answer of the API: JSON, or the text that it was. */
export interface PlaneAnswer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * What the API answers for a path.
 * @throws MeshError `INMESH_CONTROL_PLANE_UNAVAILABLE`, `INMESH_OPTION_INVALID`.
 */
export async function askStatus(api: StatusApi, path: string): Promise<unknown> {
  const { status, body } = await callPlane(api, path, { method: 'GET' });
  if (status !== 200) throw refusal(urlOf(api, path), status, api.tokenFile !== undefined, body);
  return body;
}

/**
 * Calls the API of a control plane. Refusals of the caller throw, other answers are the command's business.
 * @throws MeshError `INMESH_CONTROL_PLANE_UNAVAILABLE`, `INMESH_OPTION_INVALID`.
 */
export async function callPlane(
  api: StatusApi,
  path: string,
  { method, body: sent }: PlaneCall,
): Promise<PlaneAnswer> {
  const url = urlOf(api, path);
  const ca = api.caRoot === undefined ? undefined : await read(api.caRoot);
  const token = api.tokenFile === undefined ? undefined : (await read(api.tokenFile)).trim();
  if (token !== undefined && url.protocol === 'http:' && !isLocal(url.hostname)) {
    throw new MeshError('INMESH_OPTION_INVALID', `a token would go to ${url.host} in plaintext`, {
      hint: 'Give --ca-root with the roots of the mesh, or an https:// address',
    });
  }
  const headers = {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(method !== 'GET' && { 'content-type': 'application/json' }),
  };
  const text = sent === undefined ? undefined : JSON.stringify(sent);
  try {
    const answer = await send(url, { method, headers, ...(ca !== undefined && { ca }) }, text);
    const { status } = answer;
    const body = parsed(answer.body);
    if (status === 401 || status === 403) throw refusal(url, status, token !== undefined, body);
    return { status, body };
  } catch (cause) {
    if (MeshError.is(cause)) throw cause;
    throw new MeshError(
      'INMESH_CONTROL_PLANE_UNAVAILABLE',
      `its status API does not answer: ${messageOf(cause) || codeOf(cause)}`,
      {
        resource: url.host,
        cause,
        hint: 'Give the address that inmesh dev or inmesh serve prints, e.g. 127.0.0.1:15014; with TLS also --ca-root',
      },
    );
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function urlOf({ address, caRoot }: StatusApi, path: string): URL {
  const scheme = caRoot === undefined ? 'http' : 'https';
  const text = address.includes('://') ? address : `${scheme}://${address}`;
  const url = URL.canParse(text) ? new URL(path, text) : undefined;
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && caRoot === undefined)) return url;
  throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(address)} is no address of a status API`, {
    hint: caRoot === undefined ? 'Write host:port or a URL' : 'With --ca-root write host:port or https://…',
  });
}

function send(
  url: URL,
  options: RequestOptions & { readonly ca?: string },
  sent: string | undefined,
): Promise<{ readonly status: number; readonly body: string }> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const call = request(url, { ...options, agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) });
    call.on('error', reject);
    call.on('socket', (socket) => {
      const timer = setTimeout(() => call.destroy(new Error('no connection in time')), CONNECT_TIMEOUT_MS);
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(timer));
      socket.once('close', () => clearTimeout(timer));
    });
    call.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('error', reject);
      response.on('data', (text: string) => {
        body += text;
        if (body.length > MAX_BYTES) response.destroy(new Error('the answer is too large'));
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    call.end(sent);
  });
}

function refusal(url: URL, status: number, hasToken: boolean, body: unknown): MeshError {
  const isAccess = status === 401 || status === 403;
  const told = isAccess ? undefined : errorOf(body)?.message;
  if (told !== undefined) return new MeshError('INMESH_OPTION_INVALID', told, { resource: url.host });
  return new MeshError('INMESH_CONTROL_PLANE_UNAVAILABLE', `its status API answered ${status}`, {
    resource: url.host,
    hint: !isAccess
      ? 'See the log of the control plane'
      : hasToken
        ? 'Give a token whose role may see this'
        : 'Give --token-file, e.g. admin.token in the data folder of the control plane',
  });
}

/** What an answer says went wrong; the message without its code. */
export function errorOf(body: unknown): { readonly code: string; readonly message: string } | undefined {
  if (typeof body !== 'object' || body === null || !('error' in body)) return undefined;
  const { error } = body;
  if (typeof error !== 'object' || error === null || !('message' in error)) return undefined;
  const [code, message] = ['code' in error ? String(error.code) : '', String(error.message)];
  // Control planes up to 0.1 said the code in the message, too.
  return { code, message: message.startsWith(`${code}: `) ? message.slice(code.length + 2) : message };
}

function isLocal(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname);
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new MeshError('INMESH_OPTION_INVALID', `the file can not be read: ${messageOf(cause)}`, {
      resource: path,
      cause,
      hint: 'Check the path and its permission',
    });
  }
}
