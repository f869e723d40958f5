/** What the shell is told when files may come next. */
export const FILES_TOO = ':files';

/**
 * The script by which a shell completes the words of a command line: it asks the program itself, which knows commands,
 * options and their values, and asks the control plane for the names of what is there.
 */
export function completion(shell: 'bash' | 'zsh' | 'fish'): string {
  if (shell === 'fish') return FISH;
  return shell === 'bash' ? BASH : ZSH;
}

const BASH = `# bash completion of inmesh
_inmesh() {
  local cur=\${COMP_WORDS[COMP_CWORD]} found line
  found=$("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  COMPREPLY=()
  while IFS= read -r line; do
    [[ $line == '${FILES_TOO}' ]] && COMPREPLY+=($(compgen -f -- "$cur")) && continue
    [[ -n $line ]] && COMPREPLY+=("$line")
  done <<< "$found"
}
complete -o filenames -F _inmesh inmesh
`;

const ZSH = `#compdef inmesh
_inmesh() {
  local -a found
  local line
  for line in "\${(@f)$(\${words[1]} __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == '${FILES_TOO}' ]]; then _files; elif [[ -n $line ]]; then found+=("$line"); fi
  done
  compadd -- $found
}
compdef _inmesh inmesh
`;

const FISH = `# fish completion of inmesh
function __inmesh_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in ($words[1] __complete -- $words[2..-1] 2>/dev/null)
    if test "$line" = '${FILES_TOO}'
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
complete -c inmesh -f -a '(__inmesh_complete)'
`;
