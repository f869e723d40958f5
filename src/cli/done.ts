/** What gets the exit code of a command: 0 ok, 1 findings (or the program's own), 2 could not run. */
export type Done = (code: number) => void;
