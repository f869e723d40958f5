/**
 * Importing undici replaces the dispatcher of the platform's own fetch, unless that was touched before: reading any
 * of fetch's globals makes Node load its bundled copy first. This module must stay the first import of the folder.
 */
export const builtinFetchIsLoaded: boolean = typeof globalThis.Headers === 'function';
