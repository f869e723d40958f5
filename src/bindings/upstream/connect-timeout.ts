/** No connection within the time; it looks as undici's own does, because callers ask for its code. */
export class ConnectTimeout extends Error {
  override readonly name = 'ConnectTimeoutError';
  readonly code = 'UND_ERR_CONNECT_TIMEOUT';

  constructor(address: string, timeoutMs: number) {
    super(`Connect Timeout Error (attempted address: ${address}, timeout: ${timeoutMs}ms)`);
  }
}
