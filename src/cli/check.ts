import { counted } from '../runtime/counted.js';
import { messageOf } from '../runtime/errors.js';
import type { Output } from './output.js';
import { type Format, print } from './print.js';
import { planeStatus, type StatusOptions } from './status.js';
import { askStatus } from './status-api.js';

/** One thing that was looked at. */
interface Finding {
  readonly area: string;
  readonly result: 'ok' | 'warning' | 'failed';
  readonly text: string;
  readonly hint?: string;
}

const MARKS = { ok: '√', warning: '‼', failed: '×' } as const;

/** Looks whether everything is as it should be; 1 = something failed, 2 = the control plane can't be reached. */
export async function check(options: StatusOptions, output: Output): Promise<number> {
  const findings = await findingsOf(options);
  await show(findings, options.format, output);
  const failed = findings.filter(({ result }) => result === 'failed');
  if (failed.some(({ area }) => area === 'control plane')) return 2;
  return failed.length > 0 ? 1 : 0;
}

async function findingsOf(options: StatusOptions): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const add = (area: string, result: Finding['result'], text: string, hint?: string) =>
    findings.push({ area, result, text, ...(hint !== undefined && { hint }) });
  let found: Awaited<ReturnType<typeof planeStatus>>;
  try {
    found = await planeStatus(options);
  } catch (error) {
    add('control plane', 'failed', messageOf(error));
    return findings;
  }
  add(
    'control plane',
    'ok',
    `inmesh ${found.version} at ${options.controlPlane}, trust domain ${found.trustDomain}`,
  );
  const { clients, rejected, held, registrationsHeld, warnings, revision } = found;
  if (rejected === undefined) add('configuration', 'ok', `revision ${revision} is in force`);
  else
    add(
      'configuration',
      'failed',
      `${rejected.violations.length} complaints refused the newest`,
      'inmesh status tells them',
    );
  if (held !== undefined)
    add(
      'configuration',
      'failed',
      `a change of ${held.source} is held back`,
      'inmesh confirm takes it into force',
    );
  if (registrationsHeld > 0)
    add(
      'configuration',
      'failed',
      `the end of ${counted(registrationsHeld, 'registration')} is held back`,
      'inmesh confirm takes it into force',
    );
  if (warnings.length > 0)
    add('configuration', 'warning', counted(warnings.length, 'warning'), 'inmesh status -o json tells them');
  const behind = clients.filter(({ state }) => state !== 'SYNCED');
  for (const { id, state } of behind)
    add('clients', state === 'NACKED' ? 'failed' : 'warning', `${id} is ${state}`, `inmesh status ${id}`);
  if (clients.length === 0)
    add('clients', 'warning', 'nobody is connected', 'inmesh run -s NAME -- node app.js');
  else if (behind.length === 0) add('clients', 'ok', `${clients.length} connected, all SYNCED`);
  findings.push(...(await certificates(options)));
  return findings;
}

const MONTH_MS = 30 * 86_400_000;

async function certificates({
  controlPlane: address,
  tokenFile,
  caRoot,
}: StatusOptions): Promise<readonly Finding[]> {
  try {
    const { roots = [] } = (await askStatus({ address, tokenFile, caRoot }, '/api/ca')) as {
      readonly roots?: readonly { readonly phase: string; readonly notAfter?: string }[];
    };
    return roots
      .filter(({ phase }) => phase === 'active')
      .map(({ notAfter = '' }) => {
        const isNear = Date.parse(notAfter) - Date.now() < MONTH_MS;
        return {
          area: 'certificates',
          result: isNear ? 'warning' : 'ok',
          text: `the root is valid until ${notAfter}`,
        };
      });
  } catch (error) {
    return [{ area: 'certificates', result: 'warning', text: messageOf(error) }];
  }
}

async function show(findings: readonly Finding[], format: Format, output: Output): Promise<void> {
  if (format !== 'table' && format !== 'wide') {
    await print(output, format, { findings }, () => []);
    return;
  }
  let area = '';
  for (const one of findings) {
    if (one.area !== area) output.out(`${one.area}\n`);
    area = one.area;
    output.out(`  ${MARKS[one.result]} ${one.text}${one.hint === undefined ? '' : `\n      ${one.hint}`}\n`);
  }
  const count = (result: Finding['result']) => findings.filter((one) => one.result === result).length;
  output.err(`${count('failed')} failed, ${counted(count('warning'), 'warning')}, ${count('ok')} passed\n`);
}
