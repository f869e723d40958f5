import type { HttpFilter } from '../../model/filter-config.js';

/** Instance name of the filter that keeps sessions. */
export const SESSION = 'envoy.filters.http.stateful_session';

/** The filter; routes say which sessions they keep. */
export const SESSION_FILTER: HttpFilter = {
  name: SESSION,
  config: { kind: 'stateful-session', state: undefined, strict: false },
};
