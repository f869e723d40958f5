import { isIP } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { isUnixSocket, type SocketAddress } from '../model/address.js';
import { core } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

/** `ip`: only an IP address will do. `host`: a name that is resolved later will do too. */
export type AddressForm = 'ip' | 'host';

const socketFields = onlyFields(() => core.SocketAddressSchema, {
  enforced: ['protocol', 'address', 'port_value'],
});

/** The TCP address in the message. */
export function decodeAddress(
  address: core.Address | undefined,
  form: AddressForm,
  path: Path,
): SocketAddress {
  if (address?.address.case === undefined) return refuse(at(path, 'socket_address'), 'is required');
  if (address.address.case !== 'socketAddress') {
    return refuse(
      at(path, address.address.case === 'pipe' ? 'pipe' : 'envoy_internal_address'),
      'is not supported',
    );
  }
  return decodeSocketAddress(address.address.value, form, at(path, 'socket_address'));
}

/** The TCP address. */
export function decodeSocketAddress(
  socket: core.SocketAddress,
  form: AddressForm,
  path: Path,
): SocketAddress {
  socketFields(socket, path);
  if (socket.protocol !== core.SocketAddress_Protocol.TCP) refuse(at(path, 'protocol'), 'must be TCP');
  const { address, portSpecifier } = socket;
  checkHost(address, form, () => path);
  const port =
    portSpecifier.case === 'portValue' ? portSpecifier.value : refuse(at(path, 'port_value'), 'is required');
  checkPort(port, () => path);
  return { address, port };
}

const pipeFields = onlyFields(() => core.PipeSchema, {
  enforced: ['path'],
  // Access to a socket that is listened on; whoever connects has no say in it.
  ignored: ['mode'],
});

/** Node and the kernel take no longer path than this. */
const MAX_SOCKET_PATH = 107;

/** The address of an endpoint, which may be a Unix socket unless it is resolved by its name. */
export function decodeEndpointAddress(
  message: core.Address | undefined,
  form: AddressForm,
  path: Path,
): SocketAddress {
  if (form !== 'ip' || message?.address.case !== 'pipe') return decodeAddress(message, form, path);
  const pipe = message.address.value;
  const pipePath = at(path, 'pipe');
  pipeFields(pipe, pipePath);
  const { path: address } = pipe;
  const isWhole = /^[/@]./.test(address) && !address.includes('\0');
  if (!isWhole || Buffer.byteLength(address) > MAX_SOCKET_PATH) {
    refuse(at(pipePath, 'path'), `must be an absolute path or @name of at most ${MAX_SOCKET_PATH} bytes`);
  }
  return { address, port: 0 };
}

/** Refuses what is no address of that form. The path comes as a function: it is built for refusals only. */
export function checkHost(address: string, form: AddressForm, path: () => Path): void {
  if (address === '') refuse(at(path(), 'address'), 'must not be empty');
  if (form === 'host' && isUnixSocket({ address, port: 0 })) {
    refuse(at(path(), 'address'), `${JSON.stringify(address)} is no host name`);
  }
  if (form === 'ip' && isIP(address) === 0) {
    refuse(
      at(path(), 'address'),
      `${JSON.stringify(address)} is no IP address; only DNS clusters take host names`,
    );
  }
}

/** Refuses what is no port. */
export function checkPort(port: number, path: () => Path): void {
  if (port > 65_535) refuse(at(path(), 'port_value'), 'must be at most 65535');
}

/** The address as a message. */
export function encodeAddress(socket: SocketAddress): core.Address {
  const { address, port } = socket;
  if (isUnixSocket(socket)) {
    const pipe = create(core.PipeSchema, { path: address });
    return create(core.AddressSchema, { address: { case: 'pipe', value: pipe } });
  }
  const value = create(core.SocketAddressSchema, {
    address,
    portSpecifier: { case: 'portValue', value: port },
  });
  return create(core.AddressSchema, { address: { case: 'socketAddress', value } });
}
