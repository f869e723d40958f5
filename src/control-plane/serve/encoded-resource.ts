/** A resource in the form in which it travels. */
export interface EncodedResource {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Content hash: the version of the resource, and what the version of a set is made of. */
  readonly hash: string;
}

/** How a protocol frames the resources of a response. */
export type Framing = (resources: readonly EncodedResource[]) => Uint8Array;

/** What a client is told of a resource that it can't have (gRFC A88); `code` is gRPC's. */
export interface ResourceFault {
  readonly name: string;
  readonly code: number;
  readonly message: string;
}
