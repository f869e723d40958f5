// The service that both sides know. With a generator this would be its output; here the messages are JSON.
import * as grpc from '@grpc/grpc-js';

const encode = (message) => Buffer.from(JSON.stringify(message));
const decode = (bytes) => JSON.parse(bytes.toString());
const method = (name, responseStream) => ({
  path: `/examples.Greeter/${name}`,
  requestStream: false,
  responseStream,
  requestSerialize: encode,
  requestDeserialize: decode,
  responseSerialize: encode,
  responseDeserialize: decode,
});

export const Greeter = { sayHello: method('SayHello', false), countDown: method('CountDown', true) };
export const GreeterClient = grpc.makeGenericClientConstructor(Greeter, 'Greeter');
