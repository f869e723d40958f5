/** A header that the authorization service wants to be set. */
export type HeaderLine = readonly [name: string, value: string];

/** How a header of the answer to the caller is changed. */
export type ResponseAction = 'add' | 'set' | 'add-if-absent' | 'overwrite-if-exists';

/** How the service wants the caller to be answered. */
export interface AuthzAnswer {
  /** Undefined = what the configuration says. */
  readonly status: number | undefined;
  readonly headers: readonly HeaderLine[];
  readonly body: Uint8Array | string;
}

/** What the service said about a request. */
export type AuthzDecision =
  | {
      readonly kind: 'ok';
      /** Replace what the request has. */
      readonly set: readonly HeaderLine[];
      /** The same, where the request has none, or has some. */
      readonly setIfAbsent: readonly HeaderLine[];
      readonly setIfPresent: readonly HeaderLine[];
      /** Become lines of their own. */
      readonly add: readonly HeaderLine[];
      /** Are joined to what the request has, and left out when it has nothing. */
      readonly append: readonly HeaderLine[];
      readonly remove: readonly string[];
      readonly queryToSet: readonly HeaderLine[];
      readonly queryToRemove: readonly string[];
      /** For the answer to the caller. */
      readonly response: readonly { readonly action: ResponseAction; readonly line: HeaderLine }[];
      readonly metadata: Readonly<Record<string, unknown>> | undefined;
    }
  | (AuthzAnswer & {
      readonly kind: 'denied';
      readonly status: number;
      readonly metadata: Readonly<Record<string, unknown>> | undefined;
    })
  /** It said nothing that could be understood, or that it failed. */
  | {
      readonly kind: 'error';
      /** How it wants such requests to be answered, if it said so. */
      readonly answer?: AuthzAnswer | undefined;
      readonly metadata?: Readonly<Record<string, unknown>> | undefined;
    };

/** Nothing but yes. */
export const OK: Extract<AuthzDecision, { kind: 'ok' }> = {
  kind: 'ok',
  set: [],
  setIfAbsent: [],
  setIfPresent: [],
  add: [],
  append: [],
  remove: [],
  queryToSet: [],
  queryToRemove: [],
  response: [],
  metadata: undefined,
};
