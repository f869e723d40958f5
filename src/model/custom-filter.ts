import type { ClientCertificate, PemSource } from './tls.js';

/** Where a filter may run. */
export type FilterDirection = 'outbound' | 'inbound';

/** The configuration of a filter of the application as it travels: JSON, or the bytes of a message. */
export type CustomFilterSource =
  | { readonly kind: 'json'; readonly typeUrl: string; readonly json: Readonly<Record<string, unknown>> }
  | { readonly kind: 'bytes'; readonly typeUrl: string; readonly bytes: Uint8Array };

/** What a definition made of a configuration. */
export interface ParsedFilter {
  readonly value: unknown;
  /** The clusters that the filter asks. */
  readonly clusters: readonly string[];
}

/** Configuration of a filter that the application defined. */
export interface CustomFilterConfig extends ParsedFilter {
  readonly kind: 'custom';
  /** Name of the definition. */
  readonly type: string;
  readonly source: CustomFilterSource;
}

/** A filter of the application, as decoders know it. */
export interface CustomFilterType {
  readonly name: string;
  runs(direction: FilterDirection): boolean;
  /** Reads a configuration, or throws: of the filter itself, or of a route for it. */
  parse(source: CustomFilterSource, level: 'filter' | 'route'): ParsedFilter;
}

/** The filters that the application defined. */
export interface CustomFilterTypes {
  /** By the full name of the configuration's message, or by the filter's own name. */
  find(name: string): CustomFilterType | undefined;
  /** Whether this process knows the cluster that it belongs to: filters may share with its members. */
  readonly knowsLocalCluster?: boolean | undefined;
  /** What instances of certificate providers hold, by their names (gRFC A29). Undefined = `default`, the identity. */
  readonly providers?: CertificateProviders | undefined;
}

/** Instances of certificate providers by name; `mesh` = the identity of this workload and the roots of the mesh. */
export type CertificateProviders = ReadonlyMap<string, 'mesh' | ProvidedFiles>;

/** What a certificate provider holds. */
export interface ProvidedFiles {
  readonly certificate: ClientCertificate | undefined;
  readonly roots: PemSource | undefined;
}
