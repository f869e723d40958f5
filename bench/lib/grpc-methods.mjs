// The service of the gRPC bench; messages are bytes, so that no codec is measured.
const same = (bytes) => bytes;
const method = (name, requestStream, responseStream) => ({
  path: `/bench.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});

export const METHODS = {
  echo: method('Echo', false, false),
  sink: method('Sink', true, false),
  source: method('Source', false, true),
};
