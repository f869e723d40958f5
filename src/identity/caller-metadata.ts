/** Metadata in which a caller on the same machine names its namespace; an authority believes it over loopback only. */
export const NAMESPACE_METADATA = 'x-inmesh-namespace';

/** Metadata in which a caller on the same machine names its service account. */
export const SERVICE_ACCOUNT_METADATA = 'x-inmesh-service-account';
/** The id of the caller's node in xDS, percent-encoded. It proves nothing. */
export const INSTANCE_METADATA = 'x-inmesh-node';
