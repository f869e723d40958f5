import type { Filter } from '../service/service.js';
import { reply } from './reply.js';

/** Stands where the configuration of a filter did not come (ECDS). Envoy: 500, flag NFCF. */
export const missingConfig: Filter = async (request) =>
  reply(request, {
    status: 500,
    reason: 'INMESH_FILTER_MISSING',
    details: 'filter_config_not_found',
    flag: 'NFCF',
  });
