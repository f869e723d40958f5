import { z } from 'zod';
import { stringMap, uint32 } from './fields.js';

const tlsProtocol = z.enum(['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3']);

/** Istio ServerTLSSettings. */
export const serverTls = z.strictObject({
  httpsRedirect: z.boolean().optional(),
  mode: z
    .enum(['PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL'])
    .optional(),
  serverCertificate: z.string().optional(),
  privateKey: z.string().optional(),
  caCertificates: z.string().optional(),
  caCrl: z.string().optional(),
  credentialName: z.string().optional(),
  credentialNames: z.array(z.string()).optional(),
  caCertCredentialName: z.string().optional(),
  tlsCertificates: z
    .array(
      z.strictObject({
        serverCertificate: z.string().optional(),
        privateKey: z.string().optional(),
        caCertificates: z.string().optional(),
      }),
    )
    .optional(),
  subjectAltNames: z.array(z.string()).optional(),
  verifyCertificateSpki: z.array(z.string()).optional(),
  verifyCertificateHash: z.array(z.string()).optional(),
  minProtocolVersion: tlsProtocol.optional(),
  maxProtocolVersion: tlsProtocol.optional(),
  cipherSuites: z.array(z.string()).optional(),
  insecureSkipVerify: z.boolean().optional(),
});

/** Istio Gateway: every field. */
export const gatewaySchema = z.strictObject({
  servers: z
    .array(
      z.strictObject({
        port: z.strictObject({
          number: uint32,
          protocol: z.string(),
          name: z.string(),
          targetPort: uint32.optional(),
        }),
        bind: z.string().optional(),
        hosts: z.array(z.string()),
        tls: serverTls.optional(),
        defaultEndpoint: z.string().optional(),
        name: z.string().optional(),
      }),
    )
    .optional(),
  selector: stringMap.optional(),
});
