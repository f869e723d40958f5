import { Command, CommanderError } from 'commander';
import { MeshError } from '../runtime/errors.js';
import { addAnalyze } from './analyze-command.js';
import { addAuthz, addMigrate } from './authorization-commands.js';
import { addCa } from './ca-command.js';
import { addCompile } from './compile-command.js';
import { addCompletion } from './complete-command.js';
import { addChanging, addComparing, addReading } from './config-commands.js';
import { addConvert } from './convert-command.js';
import { addDev } from './dev-command.js';
import type { Done } from './done.js';
import { addEdits } from './edit-commands.js';
import { addExplain } from './explain-command.js';
import { resolveFiles } from './file-option.js';
import { addMtls } from './mtls-command.js';
import { normalArguments } from './normal-arguments.js';
import { addOthers } from './other-commands.js';
import { type Output, terminalOutput, version } from './output.js';
import { addRun } from './run-command.js';
import { addSchema } from './schema-command.js';
import { addServe } from './serve-command.js';
import { addStatus } from './status-commands.js';
import { TemplateOutput } from './template-output.js';
import { addToken } from './token-command.js';
import { addValidate } from './validate-command.js';

/** Exit codes: 0 ok, 1 findings (or the program's own), 2 could not run. */
const COULD_NOT_RUN = 2;

/** Every command; a new one is one file and one line here. */
const COMMANDS: readonly ((program: Command, output: Output, done: Done) => void)[] = [
  addDev,
  addServe,
  addToken,
  addRun,
  addValidate,
  addAnalyze,
  addSchema,
  addCompile,
  addExplain,
  addReading,
  addChanging,
  addComparing,
  addStatus,
  addConvert,
  addEdits,
  addOthers,
  addCompletion,
  addMtls,
  addAuthz,
  addMigrate,
  addCa,
];

/** Runs one command line; returns the exit code. */
export async function main(args: readonly string[], output: Output = terminalOutput()): Promise<number> {
  let code = 0;
  const program = createProgram(output, (result) => {
    code = result;
  });
  try {
    await program.parseAsync([...normalArguments(args)], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : COULD_NOT_RUN;
    output.err(
      `${MeshError.is(error) ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return COULD_NOT_RUN;
  }
}

/** The program with all of its commands. */
export function createProgram(output: Output, done: Done): Command {
  const templated = new TemplateOutput(output);
  const program = new Command('inmesh')
    .description('The service mesh that lives inside the Node process.')
    .version(version, '-v, --version')
    // Options after the program's name belong to the program.
    .enablePositionalOptions()
    .exitOverride()
    .hook('preAction', async (_, command) => {
      await resolveFiles(command);
      await templated.begin(command);
    })
    .hook('postAction', () => templated.end())
    .configureOutput({ writeOut: output.out, writeErr: output.err });
  for (const add of COMMANDS) add(program, templated, done);
  return program;
}
