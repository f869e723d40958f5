import { Argument, type Command } from 'commander';
import type { CompletionTools } from './complete.js';
import { examples } from './config-commands.js';
import type { Done } from './done.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';

/** Adds `completion`, and what its scripts ask. */
export function addCompletion(program: Command, output: Output, done: Done): void {
  program
    .command('completion')
    .description(
      'Print the script by which a shell completes commands, options, and the names of what is there.',
    )
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      examples(
        'completion bash > /etc/bash_completion.d/inmesh',
        'completion zsh > ~/.zfunc/_inmesh',
        'completion fish > ~/.config/fish/completions/inmesh.fish',
      ),
    )
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const { completion } = await import('./completion.js');
      output.out(completion(shell));
      done(0);
    });
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .action(async (words: readonly string[]) => {
      const { candidates } = await import('./complete.js');
      const { FILES_TOO } = await import('./completion.js');
      const found = await candidates(program, words.length === 0 ? [''] : words, TOOLS);
      output.out([...found.words, ...(found.files ? [FILES_TOO] : [])].map((word) => `${word}\n`).join(''));
      done(0);
    });
}

/** A shell that completes does not wait for a control plane that is not there. */
const TOOLS: CompletionTools = {
  kinds: async () => {
    const { kindWords } = await import('./kind-words.js');
    return kindWords();
  },
  names: quietly(async (kind, plane) => {
    const { get } = await import('./get.js');
    const lines: string[] = [];
    const output: Output = { out: (text) => void lines.push(text), err: () => {}, color: false };
    await get([kind], { ...plane, format: 'name' }, output);
    return lines
      .join('')
      .trim()
      .split('\n')
      .map((line) => line.slice(line.indexOf('/') + 1));
  }),
  clients: quietly(async (plane: PlaneOptions) => {
    const { planeStatus } = await import('./status.js');
    const { clients } = await planeStatus(plane);
    return clients.flatMap(({ id, service, version }) => [
      version === '' ? service : `${service}-${version}`,
      id,
    ]);
  }),
  namespaces: quietly(async (plane: PlaneOptions) => {
    const { objectsIn, namespaceOf } = await import('./objects.js');
    const { objects = [] } = await objectsIn(plane, undefined, {
      out: () => {},
      err: () => {},
      color: false,
    });
    return objects.map(namespaceOf);
  }),
};

const PATIENCE_MS = 1_500;

function quietly<Args extends readonly unknown[]>(ask: (...args: Args) => Promise<readonly string[]>) {
  return async (...args: Args): Promise<readonly string[]> => {
    const giveUp = new Promise<readonly string[]>((resolve) => setTimeout(resolve, PATIENCE_MS, []).unref());
    return Promise.race([ask(...args).catch(() => []), giveUp]);
  };
}
