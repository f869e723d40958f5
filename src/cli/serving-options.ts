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
    .addOption(
      new Option('--push-throttle <count>', 'clients that are sent to at a time (default: 100)')
        .env('PILOT_PUSH_THROTTLE')
        .argParser(toCount),
    );
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
