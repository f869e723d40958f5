import { z } from 'zod';
import {
  GATEWAY_GROUP,
  group,
  hostname,
  kindName,
  labelSelector,
  labelValue,
  localObjectReference,
  namespaceName,
  objectName,
  objectReference,
  portNumber,
  qualifiedMap,
  secretReference,
  sectionName,
  tlsOptions,
} from './fields.js';

const ADDRESS_TYPE =
  /^(?:Hostname|IPAddress|NamedAddress|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+)$/;

const SAME = { from: 'Same' } as const;

const listener = z.strictObject({
  name: sectionName,
  hostname: hostname.optional(),
  port: portNumber,
  protocol: z
    .string()
    .min(1)
    .max(255)
    .regex(
      /^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]+$/,
      'must be a protocol such as HTTP, HTTPS, TLS or TCP',
    ),
  tls: z
    .strictObject({
      mode: z.enum(['Terminate', 'Passthrough']).default('Terminate'),
      certificateRefs: z.array(secretReference).max(64).optional(),
      options: tlsOptions,
    })
    .optional(),
  allowedRoutes: z
    .strictObject({
      namespaces: z
        .strictObject({
          from: z.enum(['All', 'Selector', 'Same']).default('Same'),
          selector: labelSelector.optional(),
        })
        .default({ ...SAME }),
      kinds: z
        .array(z.strictObject({ group: group.default(GATEWAY_GROUP), kind: kindName }))
        .max(8)
        .optional(),
    })
    .default(() => ({ namespaces: { ...SAME } })),
});

const frontendTls = z.strictObject({
  validation: z
    .strictObject({
      caCertificateRefs: z.array(objectReference).min(1).max(8),
      mode: z.enum(['AllowValidOnly', 'AllowInsecureFallback']).default('AllowValidOnly'),
    })
    .optional(),
});

/** Gateway API Gateway: every field, with the defaults of its CRD. */
export const apiGatewaySchema = z.strictObject({
  gatewayClassName: objectName,
  listeners: z.array(listener).min(1).max(64),
  addresses: z
    .array(
      z.strictObject({
        type: z
          .string()
          .min(1)
          .max(253)
          .regex(ADDRESS_TYPE, 'must be IPAddress, Hostname, or a domain with a path')
          .default('IPAddress'),
        value: z.string().max(253).optional(),
      }),
    )
    .max(16)
    .optional(),
  infrastructure: z
    .strictObject({
      labels: qualifiedMap(labelValue, 8).optional(),
      annotations: qualifiedMap(z.string().max(4096), 8).optional(),
      parametersRef: localObjectReference.optional(),
    })
    .optional(),
  allowedListeners: z
    .strictObject({
      namespaces: z
        .strictObject({
          from: z.enum(['All', 'Selector', 'Same', 'None']).default('None'),
          selector: labelSelector.optional(),
        })
        .optional(),
    })
    .optional(),
  tls: z
    .strictObject({
      backend: z.strictObject({ clientCertificateRef: secretReference.optional() }).optional(),
      frontend: z
        .strictObject({
          default: frontendTls,
          perPort: z
            .array(z.strictObject({ port: portNumber, tls: frontendTls }))
            .max(64)
            .optional(),
        })
        .optional(),
    })
    .optional(),
  defaultScope: z.enum(['All', 'None']).optional(),
});

/** Gateway API ListenerSet. */
export const listenerSetSchema = z.strictObject({
  parentRef: z.strictObject({
    group: group.default(GATEWAY_GROUP),
    kind: kindName.default('Gateway'),
    name: objectName,
    namespace: namespaceName.optional(),
  }),
  listeners: z.array(listener).min(1).max(64),
});

/** Gateway API GatewayClass. */
export const gatewayClassSchema = z.strictObject({
  controllerName: z
    .string()
    .min(1)
    .max(253)
    .regex(
      /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/,
      'must be a domain with a path, such as inmesh.dev/gateway-controller',
    ),
  parametersRef: z
    .strictObject({ group, kind: kindName, name: objectName, namespace: namespaceName.optional() })
    .optional(),
  description: z.string().max(64).optional(),
});
