/** How often a call is made; one alone may have to wait for the compiler of JavaScript, or for garbage. */
const RUNS = 4;

/**
 * CPU time that this process spends until a call returns, in milliseconds: the least of a few calls, and the result of the
 * first. What else the machine does is not in it, nor what the process does besides now and then, so a limit on it fails
 * only because of the call itself.
 */
export function cpuMsOf<T>(call: () => T): { readonly result: T; readonly cpuMs: number } {
  const [first, ...others] = Array.from({ length: RUNS }, () => timed(call));
  if (first === undefined) throw new Error('no call was made');
  return { result: first.result, cpuMs: Math.min(first.cpuMs, ...others.map(({ cpuMs }) => cpuMs)) };
}

function timed<T>(call: () => T): { readonly result: T; readonly cpuMs: number } {
  const before = process.cpuUsage();
  const result = call();
  const { user, system } = process.cpuUsage(before);
  return { result, cpuMs: (user + system) / 1000 };
}
