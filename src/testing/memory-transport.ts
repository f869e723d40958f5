import type { Transport, TransportOptions } from '../cluster/transport.js';
import { TransportError, type TransportFailure } from '../cluster/transport.js';
import { formatAddress } from '../model/address.js';
import { type Body, bytesBody } from '../service/body.js';
import { Completion } from '../service/completion.js';
import { HeaderMap } from '../service/headers.js';
import type { Request, Response } from '../service/service.js';

/** What a scripted endpoint does with one attempt. */
export type MemoryAnswer =
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string | readonly string[]>>;
      readonly body?: string | Body;
      /** Ends the exchange; by default it is over with the head. */
      readonly completion?: Completion;
    }
  | { readonly failure: TransportFailure; readonly requestSent?: boolean };

/** Plays an endpoint; a promise that stays pending plays one that hangs. */
export type MemoryEndpoint = (request: Request) => MemoryAnswer | Promise<MemoryAnswer>;

/** A network in memory. */
export interface MemoryNetwork {
  readonly transport: Transport;
  /** Decides what `address:port` answers from now on. */
  serve(address: string, endpoint: MemoryEndpoint | MemoryAnswer): void;
  /** Attempts in the order they were sent. */
  readonly attempts: readonly { readonly address: string; readonly request: Request }[];
  /** How often each address was sent to. */
  counts(): Map<string, number>;
  forget(): void;
  /** The open transports by address, with what they were opened with. */
  readonly open: ReadonlyMap<string, TransportOptions>;
}

/** Makes a network where every address refuses connections until something is served there, or `fallback` answers. */
export function createMemoryNetwork(fallback?: MemoryEndpoint | MemoryAnswer): MemoryNetwork {
  const endpoints = new Map<string, MemoryEndpoint>();
  const open = new Map<string, TransportOptions>();
  const attempts: { address: string; request: Request }[] = [];
  const refuse: MemoryEndpoint = () => ({ failure: 'connect', requestSent: false });
  const otherwise = fallback === undefined ? refuse : toEndpoint(fallback);
  return {
    transport(endpoint, options) {
      const address = formatAddress(endpoint.address);
      open.set(address, options);
      return {
        service: (request) => {
          attempts.push({ address, request });
          return attempt(endpoints.get(address) ?? otherwise, request);
        },
        async close() {
          if (open.get(address) === options) open.delete(address);
        },
      };
    },
    serve(address, endpoint) {
      endpoints.set(address, toEndpoint(endpoint));
    },
    attempts,
    counts() {
      const counts = new Map<string, number>();
      for (const { address } of attempts) counts.set(address, (counts.get(address) ?? 0) + 1);
      return counts;
    },
    forget() {
      attempts.length = 0;
    },
    open,
  };
}

function toEndpoint(endpoint: MemoryEndpoint | MemoryAnswer): MemoryEndpoint {
  return typeof endpoint === 'function' ? endpoint : () => endpoint;
}

async function attempt(endpoint: MemoryEndpoint, request: Request): Promise<Response> {
  if (request.abort.aborted) throw new TransportError('aborted', false, request.abort.reason);
  const answer = await new Promise<MemoryAnswer>((resolve, reject) => {
    const unlink = request.abort.onAbort((reason) => reject(new TransportError('aborted', true, reason)));
    Promise.resolve(endpoint(request)).then(resolve, reject).finally(unlink);
  });
  if ('failure' in answer) {
    const { failure, requestSent = failure !== 'connect' && failure !== 'refused' } = answer;
    throw new TransportError(failure, requestSent, new Error(`scripted ${failure}`));
  }
  const { status, headers = {}, body = '', completion = Completion.done } = answer;
  return {
    status,
    statusText: '',
    headers: HeaderMap.from(Object.entries(headers)),
    body: typeof body === 'string' ? bytesBody(body) : body,
    completion,
  };
}
