import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { ChannelCredentials } from '@grpc/grpc-js';

/**
 * The same credentials, for connections that do not keep the process alive: a script that has nothing else to do ends
 * although its stream to the control plane never does. grpc-js has no option for that (it refs the socket of every
 * active call), so the socket forgets how to be ref'd.
 */
export function inBackground(credentials: ChannelCredentials): ChannelCredentials {
  const wrapper: ChannelCredentials = Object.create(credentials);
  wrapper._createSecureConnector = (target, options, callCredentials) => {
    const connector = credentials._createSecureConnector(target, options, callCredentials);
    if ('connectionOptions' in connector)
      withoutAddressName(connector.connectionOptions as ConnectionOptions);
    return {
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
      async connect(tcp) {
        const result = await connector.connect(tcp);
        const { socket } = result;
        socket.unref();
        socket.ref = () => socket;
        return result;
      },
    };
  };
  return wrapper;
}

/**
 * RFC 6066 §3: an address is no server name, which grpc-js sends all the same (Node warns: DEP0123). It still is what the
 * certificate has to be for. grpc-js's types do not show these options; where there are none it does as it does.
 */
function withoutAddressName(options: ConnectionOptions): void {
  const { servername = '' } = options;
  if (isIP(servername) === 0) return;
  options.host = servername;
  options.servername = '';
}
