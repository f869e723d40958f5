import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import axios from 'axios';
import { got } from 'got';
import nodeFetch from 'node-fetch';
import { Agent, request as undiciRequest } from 'undici';
import { MeshAgent } from '../../../src/bindings/http-agent/agent.js';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { createDispatchingFetch } from '../../../src/bindings/undici/fetch/create-fetch.js';
import type { MeshCore } from '../../../src/mesh/core.js';
import type { ClientName } from './table.js';

/** One request, in words that every client has. */
export interface Ask {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: BodySource | undefined;
  readonly signal: AbortSignal;
  /** Hears that the head of the answer is there. */
  readonly onHead: () => void;
}

/** A body that comes in pieces; a new one for each request. */
export type BodySource = () => AsyncIterable<Buffer>;

/** What the caller got. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** What `explain` is asked about. */
  readonly subject: unknown;
  /** The client's own error for such a status, if it makes one. */
  readonly thrown?: unknown;
}

/** Sends a request and reads its whole answer. Rejects with whatever the client says. */
export type Client = (ask: Ask) => Promise<Answer>;

/** How a client is led: through the mesh, or directly. */
export interface Ways {
  readonly dispatcher: Agent | MeshDispatcher;
  readonly agent: HttpAgent;
  close(): Promise<void>;
}

export function meshWays(mesh: { readonly core: MeshCore }): Ways {
  const dispatcher = new MeshDispatcher(mesh);
  const agent = new MeshAgent(mesh);
  return {
    dispatcher,
    agent,
    async close() {
      agent.destroy();
      await dispatcher.destroy();
    },
  };
}

export function directWays(): Ways {
  const dispatcher = new Agent();
  const agent = new HttpAgent({ keepAlive: true });
  return {
    dispatcher,
    agent,
    async close() {
      agent.destroy();
      await dispatcher.destroy();
    },
  };
}

/** Every client, by its name in the table. */
export function clientsOn({ dispatcher, agent }: Ways): Readonly<Record<ClientName, Client>> {
  return {
    'mesh.fetch': byFetch(createDispatchingFetch(dispatcher)),
    fetch: byFetch((url, init) => fetch(url, { ...init, dispatcher } as unknown as RequestInit)),
    undici: (ask) => byUndici(ask, dispatcher),
    'node:http': (ask) => byHttp(ask, agent),
    axios: (ask) => byAxios(ask, agent),
    got: (ask) => byGot(ask, agent),
    'node-fetch': (ask) => byNodeFetch(ask, agent),
  };
}

function byFetch(send: typeof fetch): Client {
  return async ({ url, method, headers, body, signal, onHead }) => {
    const init = { method, headers, signal, redirect: 'manual' as const };
    // Both fetches take an async iterable; the types of one of them do not say so.
    const sent = body === undefined ? init : { ...init, body: body(), duplex: 'half' };
    const response = await send(url, sent as unknown as RequestInit);
    onHead();
    const { status } = response;
    return {
      status,
      headers: Object.fromEntries(response.headers),
      body: await response.text(),
      subject: response,
    };
  };
}

async function byUndici(ask: Ask, dispatcher: Ways['dispatcher']): Promise<Answer> {
  const { url, method, headers, body, signal, onHead } = ask;
  const response = await undiciRequest(url, { method, headers, body: body?.(), signal, dispatcher } as never);
  onHead();
  return {
    status: response.statusCode,
    headers: response.headers as Record<string, string>,
    body: await response.body.text(),
    subject: response,
  };
}

function byHttp({ url, method, headers, body, signal, onHead }: Ask, agent: HttpAgent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(url, { method, headers, agent, signal });
    outgoing.on('error', reject);
    outgoing.on('response', (response: IncomingMessage) => {
      onHead();
      text(response).then(
        (read) =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers as Record<string, string>,
            body: read,
            subject: response,
          }),
        reject,
      );
    });
    void sendBody(body, outgoing);
  });
}

async function sendBody(
  body: BodySource | undefined,
  outgoing: ReturnType<typeof httpRequest>,
): Promise<void> {
  try {
    for await (const chunk of body?.() ?? []) outgoing.write(chunk);
    outgoing.end();
  } catch (error) {
    outgoing.destroy(error as Error);
  }
}

async function byAxios(
  { url, method, headers, body, signal, onHead }: Ask,
  agent: HttpAgent,
): Promise<Answer> {
  try {
    const response = await axios.request({
      url,
      method,
      headers,
      data: body === undefined ? undefined : Readable.from(body()),
      signal,
      httpAgent: agent,
      maxRedirects: 0,
      proxy: false,
      transformResponse: (data: unknown) => data,
      onDownloadProgress: onHead,
    });
    return {
      status: response.status,
      headers: axiosHeaders(response),
      body: response.data,
      subject: response,
    };
  } catch (error) {
    if (!axios.isAxiosError(error) || error.response === undefined || error.response.data instanceof Readable)
      throw error;
    const { response } = error;
    return {
      status: response.status,
      headers: axiosHeaders(response),
      body: response.data as string,
      subject: error,
      thrown: error,
    };
  }
}

function axiosHeaders({ headers }: { readonly headers: unknown }): Record<string, string> {
  return { ...(headers as Record<string, string>) };
}

async function byGot({ url, method, headers, body, signal, onHead }: Ask, agent: HttpAgent): Promise<Answer> {
  const pending = got(url, {
    method,
    headers,
    body: body === undefined ? undefined : Readable.from(body()),
    agent: { http: agent },
    signal,
    followRedirect: false,
    retry: { limit: 0 },
  } as never) as unknown as Promise<{
    statusCode: number;
    headers: Record<string, string>;
    body: string;
  }> & { on(event: 'downloadProgress', listener: () => void): void };
  pending.on('downloadProgress', onHead);
  try {
    const response = await pending;
    return { status: response.statusCode, headers: response.headers, body: response.body, subject: response };
  } catch (error) {
    const { response } = error as {
      response?: { statusCode: number; headers: Record<string, string>; body: unknown };
    };
    if ((error as Error).name !== 'HTTPError' || response === undefined) throw error;
    return {
      status: response.statusCode,
      headers: response.headers,
      body: String(response.body),
      subject: error,
      thrown: error,
    };
  }
}

async function byNodeFetch(
  { url, method, headers, body, signal, onHead }: Ask,
  agent: HttpAgent,
): Promise<Answer> {
  const response = await nodeFetch(url, {
    method,
    headers: { ...headers },
    body: body === undefined ? null : Readable.from(body()),
    agent,
    signal: signal as never,
    redirect: 'manual',
  });
  onHead();
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
    subject: response,
  };
}
