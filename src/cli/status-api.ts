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

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * What the API answers for a path.
 * @throws MeshError `INMESH_CONTROL_PLANE_UNAVAILABLE`, `INMESH_OPTION_INVALID`.
 */
export async function askStatus(api: StatusApi, path: string): Promise<unknown> {
  const url = urlOf(api, path);
  const ca = api.caRoot === undefined ? undefined : await read(api.caRoot);
  const token = api.tokenFile === undefined ? undefined : (await read(api.tokenFile)).trim();
  if (token !== undefined && url.protocol === 'http:' && !isLocal(url.hostname)) {
    throw new MeshError('INMESH_OPTION_INVALID', `a token would go to ${url.host} in plaintext`, {
      hint: 'Give --ca-root with the roots of the mesh, or an https:// address',
    });
  }
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  try {
    const { status, body } = await send(url, { headers, ...(ca !== undefined && { ca }) });
    if (status !== 200) throw refusal(url, status, token !== undefined);
    return JSON.parse(body);
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
): Promise<{ readonly status: number; readonly body: string }> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const call = request(url, { ...options, agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) });
    call.on('error', reject);
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
    call.end();
  });
}

function refusal(url: URL, status: number, hasToken: boolean): MeshError {
  const isAccess = status === 401 || status === 403 || status === 404;
  return new MeshError('INMESH_CONTROL_PLANE_UNAVAILABLE', `its status API answered ${status}`, {
    resource: url.host,
    hint: !isAccess
      ? 'See the log of the control plane'
      : hasToken
        ? 'Give a token whose role may see this'
        : 'Give --token-file, e.g. admin.token in the data folder of the control plane',
  });
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
