// The package's sub-path './server': what an application asks about the requests that the mesh let in.

export { peerOf } from './bindings/http/connection.js';
export { reportLoad } from './bindings/http/load/load-reports.js';
export type { ReportedLoad } from './bindings/http/load/reported-load.js';
