import { authorizationPolicy, configMap, defineMesh, document, gateway, gatewayApiGateway, httpRoute, namespace, peerAuthentication, service, serviceAccount, serviceEntry, virtualService } from 'inmesh/config';

export default defineMesh({
  documents: [
    namespace({ name: 'shop', labels: { 'istio-injection': 'enabled' } }),
    serviceAccount({ name: 'cart', namespace: 'shop' }),
    document('ServiceAccount', { name: 'web', namespace: 'shop' }, { automountServiceAccountToken: false }),
    service({ name: 'cart', namespace: 'shop', labels: { 'app.kubernetes.io/name': 'cart' } }, {
      selector: { app: 'cart' },
      ports: [
        { name: 'http', port: 80, targetPort: 8080 },
        { name: 'grpc', port: 9000, appProtocol: 'kubernetes.io/h2c' },
      ],
    }),
    configMap({ name: 'notes', namespace: 'shop' }, { data: { 'it\'s': 'a "text"\\ with\nlines\t' } }),
    {
      apiVersion: 'networking.istio.io/v1beta1',
      kind: 'DestinationRule',
      metadata: { name: 'cart', namespace: 'shop' },
      spec: {
        host: 'cart',
        trafficPolicy: {
          loadBalancer: { consistentHash: { httpCookie: { name: 'user', ttl: '0s' } } },
          outlierDetection: { consecutive5xxErrors: 5, interval: '10s', baseEjectionTime: '1m30s' },
        },
        subsets: [{ name: 'v1', labels: { version: 'v1' } }, { name: 'v2', labels: { version: 'v2' } }],
      },
    },
    virtualService({ name: 'cart', namespace: 'shop', annotations: { team: 'basket' } }, {
      hosts: ['cart', 'cart.example.com'],
      gateways: ['mesh', 'edge'],
      http: [
        {
          name: 'beta',
          match: [{ headers: { 'x-beta': { exact: 'yes' } }, uri: { regex: '/items/\\d+' } }],
          route: [{ destination: { host: 'cart', subset: 'v2', port: { number: 80 } } }],
          timeout: '0.5s',
          retries: { attempts: 2, perTryTimeout: '250ms', retryOn: '5xx,reset' },
          fault: { delay: { percentage: { value: 0.1 }, fixedDelay: '5s' } },
        },
        {
          route: [
            { destination: { host: 'cart', subset: 'v1' }, weight: 90 },
            { destination: { host: 'cart', subset: 'v2' }, weight: 10 },
          ],
        },
      ],
    }),
    gateway({ name: 'edge', namespace: 'shop' }, {
      selector: { istio: 'ingressgateway' },
      servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*.example.com'] }],
    }),
    serviceEntry({ name: 'api', namespace: 'shop' }, {
      hosts: ['api.example.com'],
      location: 'MESH_EXTERNAL',
      resolution: 'DNS',
      ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
    }),
    peerAuthentication({ name: 'default', namespace: 'shop' }, {
      mtls: { mode: 'STRICT' },
      portLevelMtls: { '8080': { mode: 'PERMISSIVE' } },
      selector: { matchLabels: { app: 'cart' } },
    }),
    authorizationPolicy({ name: 'nobody', namespace: 'shop' }, {}),
    gatewayApiGateway({ name: 'edge', namespace: 'shop' }, { gatewayClassName: 'inmesh', listeners: [{ name: 'http', port: 8081, protocol: 'HTTP' }] }),
    httpRoute({ name: 'cart', namespace: 'shop' }, {
      parentRefs: [{ name: 'edge' }],
      rules: [{ backendRefs: [{ name: 'cart', port: 80 }], timeouts: { request: '1s' } }],
    }),
  ],
});
