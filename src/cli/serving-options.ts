import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../model/duration.js';
import { withAuthorityOptions } from './authority-options.js';

/** What `inmesh dev` and `inmesh serve` share: their authority, and how changes go out (the variables are istiod's). */
export function withServingOptions(command: Command): Command {
  return withAuthorityOptions(command)
    .addOption(
      new Option(
        '--debounce-after <duration>',
        'changes are sent after so long without another (default: 100ms)',
      )
        .env('PILOT_DEBOUNCE_AFTER')
        .argParser(toAnyDuration),
    )
    .addOption(
      new Option('--debounce-max <duration>', 'changes are sent after so long at the latest (default: 10s)')
        .env('PILOT_DEBOUNCE_MAX')
        .argParser(toAnyDuration),
    )
    .option(
      '--mass-removal <percent>',
      'a change that removes more of the services, endpoints or documents is held back; 0 = none is (default: 50)',
      toPercent,
    )
    .addOption(
      new Option('--push-throttle <count>', 'clients that are sent to at a time (default: 100)')
        .env('PILOT_PUSH_THROTTLE')
        .argParser(toCount),
    );
}

/** What both print, and where. */
export function withPrintOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--log-level <level>', 'what goes to stderr')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('warn'),
    )
    .addOption(
      new Option('-o, --output <format>', 'how the addresses are printed')
        .choices(['text', 'json'])
        .default('text'),
    );
}

/** How `createControlPlane` takes the percentage. */
export function massRemovalOf(percent: number | undefined): {
  readonly massRemoval?: { readonly share: number } | false;
} {
  if (percent === undefined) return {};
  return { massRemoval: percent === 0 ? false : { share: percent / 100 } };
}

function toPercent(text: string): number {
  const percent = text === '' ? Number.NaN : Number(text);
  if (percent >= 0 && percent <= 100) return percent;
  throw new InvalidArgumentError('Write a number from 0 to 100.');
}

function toAnyDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError('Write a duration such as 100ms, 2s or 1m.');
}

function toCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new InvalidArgumentError('Write a whole number from 1.');
}
