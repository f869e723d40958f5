// Starting, watching and stopping the demo's processes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../../dist/bin.js', import.meta.url));
const children = new Set();

/** Starts `inmesh …`; `found(line)` picks what is waited for out of its output, `log(line)` takes the rest. */
export async function inmesh(args, { found, log, env = {} }) {
  const child = spawn(process.execPath, [CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  createInterface({ input: child.stderr }).on('line', (line) => log(line));
  const value = await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`inmesh ${args.join(' ')} ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const match = found(line);
      if (match === undefined) log(line);
      else resolve(match);
    });
  });
  return { child, value };
}

/** Sends a signal and waits for the end. */
export async function stop({ child }, signal = 'SIGTERM') {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

/** Ends whatever still runs; for the last line of a program. */
export async function stopAll() {
  await Promise.all([...children].map((child) => stop({ child })));
}
