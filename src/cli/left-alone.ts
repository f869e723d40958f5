/** How often it is looked who the parent is, in milliseconds. */
const PERIOD_MS = 500;

/**
 * Tells when what started this process is gone. npm hands signals to the shell between it and the script, and that ends
 * without handing them on: who stops `npx inmesh dev` would leave it running. A parent's end is no event on any platform,
 * so it is looked at, and only where npm started this; a script that leaves it in the background (`inmesh dev &`) means to.
 * @returns what stops looking.
 */
export function whenLeftAlone(
  tell: () => void,
  env: Readonly<Record<string, string | undefined>> = process.env,
): () => void {
  if (!endsWithShell(env['npm_lifecycle_script'])) return () => {};
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    tell();
  }, PERIOD_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Whether a script of npm waits for what it starts: nothing of it is left in the background. */
export function endsWithShell(script: string | undefined): boolean {
  return (
    script !== undefined &&
    !script
      .replaceAll('&&', '')
      .replaceAll(/[<>]&|&>/g, '')
      .includes('&')
  );
}
