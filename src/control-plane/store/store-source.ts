/** Source name under which the store proposes. */
export const STORE_SOURCE = 'store';
