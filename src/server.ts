// The package's sub-path './server': what an application asks about the requests that the mesh let in.
export { peerOf } from './bindings/http/connection.js';
