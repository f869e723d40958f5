/**
 * CPU time that this process spends until a call returns, in milliseconds. What else the machine does is not in it, so a
 * limit on it does not fail because a neighbour was busy.
 */
export function cpuMsOf<T>(call: () => T): { readonly result: T; readonly cpuMs: number } {
  const before = process.cpuUsage();
  const result = call();
  const { user, system } = process.cpuUsage(before);
  return { result, cpuMs: (user + system) / 1000 };
}
