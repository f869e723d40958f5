import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** A request as it came over the wire. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  /** Names as they were spelled, in their order. */
  readonly headers: readonly string[];
  body: string;
  /** Whether the whole body came. */
  complete: boolean;
}

export type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

/** A server of HTTP/1.1 that keeps what it saw. */
export class Origin {
  readonly seen: SeenRequest[] = [];
  readonly #server: Server;
  readonly #answers = new Map<string, Answer>();
  readonly #early = new Map<string, Answer>();
  readonly #sockets = new Set<Socket>();
  #waiting: (() => void)[] = [];

  constructor() {
    this.#server = createServer({ keepAlive: true, keepAliveTimeout: 60_000 }, (request, response) => {
      void this.#take(request, response);
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('checkContinue', (request, response) => {
      response.writeContinue();
      this.#server.emit('request', request, response);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  /** Answers a path once the whole request came. */
  on(path: string, answer: Answer): void {
    this.#answers.set(path, answer);
  }

  /** Answers a path as soon as its head came. */
  onHead(path: string, answer: Answer): void {
    this.#early.set(path, answer);
  }

  /** Resolves when so many requests were seen. */
  async sawRequests(count: number): Promise<void> {
    while (this.seen.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  forget(): void {
    this.seen.length = 0;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const entry: SeenRequest = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.rawHeaders,
      body: '',
      complete: false,
    };
    // Whether these come at all is a matter of time.
    if (!entry.path.includes('unordered')) this.seen.push(entry);
    for (const wake of this.#waiting.splice(0)) wake();
    // `//?a` is a path here, and no host.
    const { pathname } = request.url?.startsWith('/')
      ? new URL(`http://x${request.url}`)
      : new URL('http://x');
    const early = this.#early.get(pathname);
    if (early !== undefined) early(request, response, Buffer.alloc(0));
    const chunks: Buffer[] = [];
    request.on('error', () => {});
    request.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      entry.body = Buffer.concat(chunks).toString('latin1');
    });
    request.on('end', () => {
      entry.complete = true;
      if (early !== undefined) return;
      const answer = this.#answers.get(pathname);
      if (answer === undefined) response.writeHead(404).end('nothing here');
      else answer(request, response, Buffer.concat(chunks));
    });
  }
}
