import { z } from 'zod';
import { policyTargets } from './policy-target-schema.js';

const texts = z.array(z.string()).optional();

const source = z.strictObject({
  principals: texts,
  notPrincipals: texts,
  requestPrincipals: texts,
  notRequestPrincipals: texts,
  namespaces: texts,
  notNamespaces: texts,
  serviceAccounts: texts,
  notServiceAccounts: texts,
  ipBlocks: texts,
  notIpBlocks: texts,
  remoteIpBlocks: texts,
  notRemoteIpBlocks: texts,
  trustDomains: texts,
  notTrustDomains: texts,
});

const operation = z.strictObject({
  hosts: texts,
  notHosts: texts,
  ports: texts,
  notPorts: texts,
  methods: texts,
  notMethods: texts,
  paths: texts,
  notPaths: texts,
});

/** Istio AuthorizationPolicy: every field. */
export const authorizationPolicySchema = z.strictObject({
  ...policyTargets,
  action: z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']).optional(),
  provider: z.strictObject({ name: z.string().optional() }).optional(),
  rules: z
    .array(
      z.strictObject({
        from: z.array(z.strictObject({ source: source.optional() })).optional(),
        to: z.array(z.strictObject({ operation: operation.optional() })).optional(),
        when: z.array(z.strictObject({ key: z.string(), values: texts, notValues: texts })).optional(),
      }),
    )
    .optional(),
});
