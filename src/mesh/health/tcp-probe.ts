import {
  networkFailure,
  type Probe,
  type ProbeResult,
  type ProbeTarget,
} from '../../cluster/health/probe.js';
import type { EndpointTransport } from '../../cluster/transport.js';
import type { TcpHealthChecker } from '../../model/health-check.js';
import type { Abort } from '../../runtime/abort.js';
import type { RawConnection } from '../../service/connection.js';
import { ignore } from './exchange.js';
import { containsInOrder, fromHex } from './payload.js';
import { openForCheck } from './target.js';

const PASSED: ProbeResult = { kind: 'passed', degraded: false };

/** Checks a host by a connection and what comes back on it (Envoy TcpHealthCheck). */
export class TcpProbe implements Probe {
  readonly #target: ProbeTarget;
  readonly #send: Buffer | undefined;
  readonly #receive: readonly Buffer[];
  #transport: EndpointTransport | undefined;
  #connection: RawConnection | undefined;

  constructor(target: ProbeTarget, { send, receive }: TcpHealthChecker) {
    this.#target = target;
    this.#send = send === undefined ? undefined : fromHex(send);
    this.#receive = receive.map(fromHex);
  }

  run(abort: Abort): Promise<ProbeResult> {
    return new Promise((resolve) => {
      const known = this.#connection;
      if (known !== undefined && !known.destroyed) {
        this.#talk(known, abort, resolve);
        return;
      }
      this.#transport ??= openForCheck(this.#target);
      const { dial } = this.#transport;
      if (dial === undefined) {
        resolve(networkFailure('this transport opens no connections for checks by TCP'));
        return;
      }
      let giveUp: (() => void) | undefined;
      const unlink = abort.onAbort(() => giveUp?.());
      giveUp = dial((error, connection) => {
        unlink();
        if (connection === undefined) resolve(networkFailure(error?.message ?? 'no connection'));
        else this.#talk(connection, abort, resolve);
      });
      if (abort.aborted) giveUp();
    });
  }

  close(): void {
    this.#drop();
    const transport = this.#transport;
    this.#transport = undefined;
    transport?.close().catch(ignore);
  }

  /** Envoy: that the connection stands is enough when nothing has to come back; it is closed at once. */
  #talk(connection: RawConnection, abort: Abort, resolve: (result: ProbeResult) => void): void {
    this.#connection = connection;
    connection.ref?.();
    const received: Buffer[] = [];
    const settle = (result: ProbeResult, keeps: boolean) => {
      unlink();
      connection.off('data', onData);
      connection.off('close', onClose);
      // Between checks nothing is expected of it; should it break, the next one makes another.
      if (!keeps) this.#drop();
      // A connection that waits for the next check keeps no process alive.
      connection.unref?.();
      resolve(result);
    };
    const onData = (chunk: Buffer) => {
      received.push(chunk);
      if (!containsInOrder(Buffer.concat(received), this.#receive)) return;
      settle(PASSED, this.#target.check.reuseConnection);
    };
    const onClose = () => settle(networkFailure('the host closed the connection'), false);
    const unlink = abort.onAbort(() => settle(networkFailure('the check was given up'), false));
    // Its 'close' says all that matters.
    connection.on('error', ignore);
    if (this.#send !== undefined) connection.write(this.#send);
    if (this.#receive.length === 0) {
      settle(PASSED, false);
      return;
    }
    connection.on('data', onData);
    connection.once('close', onClose);
  }

  #drop(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }
}
