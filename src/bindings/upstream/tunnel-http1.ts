import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { DialDone } from '../../cluster/transport.js';
import type { TcpTunnel } from '../../model/tcp-proxy.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import type { Dial } from './dial.js';
import { tunnelRefused } from './tunnel-refused.js';

/**
 * A tunnel through an endpoint that speaks HTTP/1.1, on a connection of its own: after a CONNECT that connection itself,
 * with a POST the bodies of request and response, in chunks (Envoy).
 */
export function tunnelOverHttp1(tunnel: TcpTunnel, dial: Dial, callback: DialDone): Unsubscribe {
  let giveUp = dial(['http/1.1'], (error, dialed) => {
    if (dialed === undefined) callback(error);
    else giveUp = ask(tunnel, dialed.socket, (failure, made) => callback(failure, made, dialed.peerId));
  });
  return () => giveUp();
}

function ask(tunnel: TcpTunnel, socket: Socket, callback: DialDone): Unsubscribe {
  const { method, target, path } = tunnel;
  const isConnect = method === 'CONNECT';
  const asked = httpRequest({
    method,
    path: isConnect ? target : path,
    headers: { host: target },
    setHost: false,
    createConnection: () => socket,
  });
  // Envoy says nothing of the connection: it is the tunnel.
  asked.removeHeader('connection');
  const settle = (error: Error | null, made?: Duplex) => {
    asked.off('error', fail);
    // What happens to it from now on is told by the tunnel, or of no interest.
    asked.on('error', ignore);
    if (made === undefined) socket.destroy();
    callback(error, made);
  };
  const fail = (error: Error) => settle(error);
  asked.once('error', fail);
  asked.once(isConnect ? 'connect' : 'response', (response: IncomingMessage, _: unknown, first?: Buffer) => {
    const { statusCode = 0 } = response;
    // RFC 9110 §9.3.6: any 2xx.
    if (statusCode < 200 || statusCode > 299) {
      settle(tunnelRefused(tunnel, statusCode));
      return;
    }
    if (first !== undefined && first.length > 0) socket.unshift(first);
    settle(null, isConnect ? socket : bodies(asked, response));
  });
  if (isConnect) asked.end();
  else asked.flushHeaders();
  return () => {
    asked.off('error', fail);
    asked.on('error', ignore);
    asked.destroy();
  };
}

/** What is written is the request, what is read is the response. */
function bodies(writable: ClientRequest, readable: IncomingMessage): Duplex {
  return Duplex.from({ writable, readable });
}

function ignore(): void {}
