import { stringify } from 'node:querystring';
import type { Dispatcher } from 'undici';
import type { MeshCore } from '../../mesh/core.js';
import { Abort } from '../../runtime/abort.js';
import { createExchange } from '../../service/context.js';
import type { Request } from '../../service/service.js';
import { failExchange, runExchange } from './downstream.js';
import { Agent, DispatcherClass } from './library.js';
import { readHeaders, type UndiciHeaders } from './raw-headers.js';
import { fromUndiciBody } from './request-body.js';

/**
 * An undici Dispatcher that sends what the mesh owns through the mesh, and everything else to `fallback` untouched.
 * Use it with `undici.request(url, { dispatcher })`, `fetch(url, { dispatcher })` or `setGlobalDispatcher`.
 */
export class MeshDispatcher extends DispatcherClass {
  readonly #mesh: MeshCore;
  readonly #fallback: Dispatcher;
  readonly #ownsFallback: boolean;

  /** `fallback` takes requests for hosts outside the mesh; by default an `Agent` of its own. */
  constructor(mesh: { readonly core: MeshCore }, fallback?: Dispatcher) {
    super();
    this.#mesh = mesh.core;
    this.#ownsFallback = fallback === undefined;
    this.#fallback = fallback ?? new Agent();
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { origin } = options;
    const target = origin === undefined ? undefined : this.#mesh.lookup(origin);
    if (target === undefined) return this.#fallback.dispatch(options, handler);
    if (target === 'unknown') {
      // The mesh has no configuration yet: whether it owns the host is known when the first one came.
      this.#mesh.whenConfigured(origin).then(
        () => this.dispatch(options, handler),
        (error: unknown) => failExchange(handler, error),
      );
      return true;
    }
    let request: Request;
    try {
      request = this.#request(options, target.scheme, target.authority);
    } catch (error) {
      failExchange(handler, error);
      return true;
    }
    runExchange(request, target.service, handler);
    return true;
  }

  override async close(): Promise<void>;
  override async close(callback: () => void): Promise<void>;
  override async close(callback?: () => void): Promise<void> {
    if (this.#ownsFallback) await this.#fallback.close();
    callback?.();
  }

  override async destroy(): Promise<void> {
    if (this.#ownsFallback) await this.#fallback.destroy();
  }

  #request(options: Dispatcher.DispatchOptions, scheme: string, originAuthority: string): Request {
    const { clock, random } = this.#mesh;
    const headers = readHeaders(options.headers as UndiciHeaders);
    const context = createExchange('outbound', clock.now(), random());
    context.callerOptions = options;
    context.destination = originAuthority;
    const isConnect = options.method === 'CONNECT';
    if (isConnect) context.upgrade = 'connect';
    else if (typeof options.upgrade === 'string') context.upgrade = options.upgrade.toLowerCase();
    const length = headers.get('content-length');
    return {
      method: options.method,
      scheme,
      authority: isConnect ? options.path : (headers.get('host') ?? originAuthority),
      path: isConnect ? '' : withQuery(options.path, options.query),
      headers,
      body: fromUndiciBody(options.body, length === undefined ? undefined : Number(length)),
      abort: new Abort(),
      context,
    };
  }
}

function withQuery(path: string, query: Readonly<Record<string, unknown>> | undefined): string {
  if (query === undefined || query === null) return path;
  // undici's own rule: `query` is written as node:querystring writes it.
  const text = stringify(query as Parameters<typeof stringify>[0]);
  return text === '' ? path : `${path}?${text}`;
}
