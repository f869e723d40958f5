import type { Request } from '../service/service.js';

/** Judges a connection as a request that says nothing; a promise where somebody is asked. */
export type JudgeConnection = (request: Request) => boolean | Promise<boolean>;
