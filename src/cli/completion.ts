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

// Readline parts words at = and :, and shows what comes after: they are joined for the program, and cut off what it answers.
// Words that end with = go on: no space comes after them.
const BASH = `# bash completion of inmesh
_inmesh() {
  local cur=\${COMP_WORDS[COMP_CWORD]} words=() word line is_joined=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD}"; do
    if [[ \${#words[@]} -gt 0 && ( $word == [=:]* || -n $is_joined ) ]]; then
      words[\${#words[@]}-1]+=$word
    else
      words+=("$word")
    fi
    [[ $word == [=:]* ]] && is_joined=1 || is_joined=
  done
  [[ $cur == [=:]* ]] && cur=
  local whole=\${words[\${#words[@]}-1]}
  local before=\${whole%"$cur"}
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == '${FILES_TOO}' ]]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
    elif [[ -n $line ]]; then
      [[ $line == *= ]] && compopt -o nospace 2>/dev/null
      COMPREPLY+=("\${line#"$before"}")
    fi
  done < <("\${COMP_WORDS[0]}" __complete -- "\${words[@]}" 2>/dev/null)
}
complete -F _inmesh inmesh
`;

// The file is the function where zsh loads it by itself from $fpath, and a script where it is sourced.
const ZSH = `#compdef inmesh
_inmesh() {
  local -a found open
  local line
  for line in "\${(@f)$(\${words[1]} __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == '${FILES_TOO}' ]]; then _files
    elif [[ $line == *= ]]; then open+=("$line")
    elif [[ -n $line ]]; then found+=("$line")
    fi
  done
  (( \${#open} )) && compadd -S '' -- "\${open[@]}"
  (( \${#found} )) && compadd -- "\${found[@]}"
}
if [[ $funcstack[1] == _inmesh ]]; then _inmesh "$@"; else compdef _inmesh inmesh; fi
`;

const FISH = `# fish completion of inmesh
function __inmesh_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  for line in ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
    if test "$line" = '${FILES_TOO}'
      __fish_complete_path "$current"
    else
      echo $line
    end
  end
end
complete -c inmesh -f -a '(__inmesh_complete)'
`;
