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
