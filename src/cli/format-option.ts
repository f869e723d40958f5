import { InvalidArgumentError, Option } from 'commander';
import { isTemplateFormat } from './template-formats.js';

/**
 * Formats of a command; the first is the default. Where one of them is `json`, templates are too: they are made of that
 * document (`template-output.ts`).
 */
export function formatOption(...formats: readonly string[]): Option {
  const hasTemplates = formats.includes('json');
  const further = hasTemplates ? ', jsonpath=…, custom-columns=…' : '';
  return new Option('-o, --output <format>', `how it is printed (${formats.join(', ')}${further})`)
    .argParser((given) => {
      // kubectl also takes -o=json.
      const text = given.startsWith('=') ? given.slice(1) : given;
      if (formats.includes(text) || (hasTemplates && isTemplateFormat(text))) return text;
      const instead = /^(?:go-?)?template/.test(text)
        ? "Templates of Go are not known: take jsonpath='{.items[*].metadata.name}', or json and jq. "
        : '';
      throw new InvalidArgumentError(`${instead}Allowed choices are ${formats.join(', ')}${further}.`);
    })
    .default(formats[0]);
}
