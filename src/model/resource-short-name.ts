/** The short names of xDS resource types. */
export type ResourceShortName = 'LDS' | 'RDS' | 'CDS' | 'EDS' | 'SDS' | 'ECDS' | 'VHDS' | 'RTDS';
