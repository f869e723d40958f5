// A mesh as code. `npx inmesh validate mesh.config.ts` (or analyze, compile, explain, apply, dev) takes it like YAML.
import {
  canary,
  defineMesh,
  destinationRule,
  mtls,
  prefix,
  retry,
  service,
  serviceAccount,
  virtualService,
} from 'inmesh/config';

const reviews = service('reviews', {
  selector: { app: 'reviews' },
  ports: [{ name: 'http', port: 9080 }],
});

// Subsets by name: `versions.subset('v3')` would not compile.
const versions = destinationRule('reviews', {
  subsets: {
    v1: { labels: { version: 'v1' } },
    v2: {
      labels: { version: 'v2' },
      trafficPolicy: { connectionPool: { http: { http1MaxPendingRequests: 8 } } },
    },
  },
  trafficPolicy: { outlierDetection: { consecutive5xxErrors: 5, interval: '10s', baseEjectionTime: '30s' } },
});

const routes = virtualService('reviews', {
  hosts: [versions.host],
  http: [
    {
      name: 'beta',
      match: [{ headers: { 'x-beta': { exact: 'yes' } } }],
      route: [{ destination: versions.subset('v2') }],
    },
    {
      name: 'read',
      match: [{ uri: prefix('/reviews') }],
      route: canary(versions, { stable: 'v1', canary: 'v2', percent: 10 }),
      timeout: '2s',
      retries: retry(2, { perTryTimeout: '500ms', on: ['connect-failure', 'refused-stream', 503] }),
    },
    { name: 'rest', route: [{ destination: versions.subset('v1') }] },
  ],
});

export default defineMesh({
  namespace: 'shop',
  documents: [serviceAccount('reviews'), reviews, versions, routes, mtls('STRICT')],
});
