// mesh.config.ts
import { canary, defineMesh, destinationRule, mtls, retry, service, virtualService } from 'inmesh/config';

const reviews = service('reviews', { selector: { app: 'reviews' }, ports: [{ name: 'http', port: 9080 }] });

const versions = destinationRule('reviews', {
  subsets: { v1: { labels: { version: 'v1' } }, v2: { labels: { version: 'v2' } } },
});

const routes = virtualService('reviews', {
  hosts: ['reviews'],
  http: [
    {
      route: canary(versions, { stable: 'v1', canary: 'v2', percent: 10 }),
      timeout: '2s',
      retries: retry(2, { perTryTimeout: '500ms', on: ['connect-failure', 503] }),
    },
  ],
});

export default defineMesh({ namespace: 'shop', documents: [reviews, versions, routes, mtls('STRICT')] });
