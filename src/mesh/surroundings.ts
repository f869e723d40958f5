/** What the options are resolved against. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Name and version in the application's package.json, when there is one. */
  readonly packageInfo: { readonly name?: string | undefined; readonly version?: string | undefined };
  /** Directory for caches of this user. */
  readonly userCacheDir: string;
  /** Unique to this process. */
  readonly instance: string;
  readonly readFile: (path: string) => string;
}
