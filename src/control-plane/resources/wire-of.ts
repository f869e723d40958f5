/** The bytes of a resource that travels as it is, beside what the model says of it; undefined = the model says it all. */
export function wireOf(resource: object): Uint8Array | undefined {
  return 'wire' in resource && resource.wire instanceof Uint8Array ? resource.wire : undefined;
}
