import type { Command } from 'commander';
import type { Output } from './output.js';
import { isTemplateFormat, type Render, rendererOf } from './template-formats.js';

/**
 * The output of a command that may print by a template: the command prints its JSON, and what comes out is what the
 * template makes of that document.
 */
export class TemplateOutput implements Output {
  readonly #output: Output;
  #render: Render | undefined;
  #isStream = false;
  #texts: string[] = [];
  #count = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  get color(): boolean {
    return this.#output.color;
  }

  get stop(): AbortSignal | undefined {
    return this.#output.stop;
  }

  readonly out = (text: string): void => {
    if (this.#render === undefined) this.#output.out(text);
    else if (this.#isStream) this.#print(text);
    else this.#texts.push(text);
  };

  readonly err = (text: string): void => this.#output.err(text);

  /**
   * Before the command: takes the template out of its options.
   * @throws MeshError `INMESH_OPTION_INVALID`: it can't be understood.
   */
  async begin(command: Command): Promise<void> {
    const format: unknown = command.getOptionValue('output');
    if (typeof format !== 'string' || !isTemplateFormat(format)) return;
    this.#render = await rendererOf(format, command.getOptionValue('headers') !== false);
    // With -w each text is a document.
    this.#isStream = command.getOptionValue('watch') === true;
    command.setOptionValue('output', 'json');
  }

  /** After the command. */
  end(): void {
    const text = this.#texts.join('');
    if (text !== '') this.#print(text);
  }

  #print(text: string): void {
    const document: unknown = JSON.parse(text);
    // It was told on stderr.
    if (isError(document)) return;
    this.#output.out(this.#render?.(document, this.#count++ > 0) ?? '');
  }
}

function isError(document: unknown): boolean {
  return (
    typeof document === 'object' &&
    document !== null &&
    'error' in document &&
    Object.keys(document).length === 1
  );
}
