import type { Command } from 'commander';

/** A command with what may follow it. */
interface Entry {
  /** Words after the program's name. */
  readonly path: readonly string[];
  readonly commands: readonly { readonly name: string; readonly text: string }[];
  readonly options: readonly { readonly flag: string; readonly text: string }[];
}

/** The script by which a shell completes the commands and options of a program. */
export function completion(program: Command, shell: 'bash' | 'zsh' | 'fish'): string {
  const entries = entriesOf(program, []);
  if (shell === 'fish') return fish(entries);
  return shell === 'bash' ? bash(entries) : zsh(entries);
}

function entriesOf(command: Command, path: readonly string[]): readonly Entry[] {
  const commands = command.commands.map((one) => ({
    name: one.name(),
    text: firstSentence(one.description()),
  }));
  const options = command.options.map(({ long, short, description }) => ({
    flag: long ?? short ?? '',
    text: firstSentence(description),
  }));
  const own = { path, commands, options: [...options, { flag: '--help', text: 'show help' }] };
  return [own, ...command.commands.flatMap((one) => entriesOf(one, [...path, one.name()]))];
}

function firstSentence(text: string): string {
  return (text.split(/[.:;]\s/)[0] ?? '').replaceAll(/['"\\`$]/g, '');
}

/** Words of the command line that are commands decide; files are completed where nothing else is. */
function bash(entries: readonly Entry[]): string {
  const cases = entries.map(({ path, commands, options }) => {
    const words = [...commands.map(({ name }) => name), ...options.map(({ flag }) => flag)].join(' ');
    return `    '${path.join(' ')}') words='${words}' ;;`;
  });
  return `# bash completion of inmesh
_inmesh() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path='' next word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] && continue
    next="\${path:+$path }$word"
    case " ${entries.map(({ path }) => path.join('_')).join(' ')} " in
      *" \${next// /_} "*) path=$next ;;
    esac
  done
  case $path in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [[ \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$cur"))
}
complete -o filenames -F _inmesh inmesh
`;
}

function zsh(entries: readonly Entry[]): string {
  return `#compdef inmesh
autoload -U +X bashcompinit && bashcompinit
${bash(entries)}`;
}

function fish(entries: readonly Entry[]): string {
  const lines = entries.flatMap(({ path, commands, options }) => {
    const condition =
      path.length === 0
        ? '__fish_use_subcommand'
        : path.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    return [
      ...commands.map(({ name, text }) => `complete -c inmesh -n '${condition}' -a ${name} -d '${text}'`),
      ...options.map(
        ({ flag, text }) =>
          `complete -c inmesh -n '${condition}' -l ${flag.replace(/^--?/, '')} -d '${text}'`,
      ),
    ];
  });
  return `# fish completion of inmesh\n${lines.join('\n')}\n`;
}
