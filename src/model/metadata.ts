/** A value of a protobuf Struct, as JSON has it. */
export type MetadataValue =
  | null
  | boolean
  | number
  | string
  | readonly MetadataValue[]
  | { readonly [key: string]: MetadataValue };

/** A protobuf Struct. */
export type MetadataStruct = Readonly<Record<string, MetadataValue>>;

/** Envoy Metadata: a Struct per namespace, e.g. `envoy.lb`. */
export type Metadata = Readonly<Record<string, MetadataStruct>>;

export const NO_METADATA: Metadata = {};

/** Envoy: the namespace that load balancing reads. */
export const LB_NAMESPACE = 'envoy.lb';
