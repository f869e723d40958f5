// Keeps processes on a core of their own, so that one does not take the other's time.
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** A function that puts a process on the `first` or the `last` core; it does nothing where there is no taskset. */
export function pinning() {
  const last = availableParallelism() - 1;
  try {
    execFileSync('taskset', ['-p', String(process.pid)], { stdio: 'ignore' });
  } catch {
    return () => {};
  }
  return (pid, which) =>
    execFileSync('taskset', ['-a', '-cp', which === 'first' ? '0' : String(last), String(pid)], {
      stdio: 'ignore',
    });
}
