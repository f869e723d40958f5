import {
  type Failure,
  type OwnDoing,
  type Reply,
  SITUATIONS,
  type Situation,
} from '../integration/client-errors/table.js';

/** The generated part of docs/client-errors.md. */
export function clientErrorsTables(): string {
  const of = <K extends Situation['outcome']['kind']>(kind: K) =>
    SITUATIONS.filter(
      (one): one is Situation & { outcome: Extract<Situation['outcome'], { kind: K }> } =>
        one.outcome.kind === kind,
    );
  return [
    '## Answers',
    '',
    table(
      ['situation', 'status', '`x-inmesh-reason`', 'body', 'flags', 'details'],
      of('reply').map((one) => replyRow(one, one.outcome)),
    ),
    '',
    '## Errors before an answer',
    '',
    failures(of('failure').filter(({ outcome }) => outcome.stage === 'no-answer')),
    '',
    '## Answers that break off',
    '',
    failures(of('failure').filter(({ outcome }) => outcome.stage === 'in-answer')),
    '',
    "## The caller's own doing",
    '',
    table(
      ['situation', 'fetch', 'undici', 'node:http', 'axios', 'got', 'node-fetch'],
      of('own-doing').map((one) => ownRow(one, one.outcome)),
    ),
  ].join('\n');
}

function failures(rows: readonly (Situation & { readonly outcome: Failure })[]): string {
  return table(
    ['situation', 'fetch', 'undici', 'node:http, axios', 'got', "the mesh's account", 'flags'],
    rows.map(({ title, outcome, flags }) => {
      const { undici, http, got, account, stage } = outcome;
      const message = stage === 'no-answer' ? 'fetch failed' : 'terminated';
      return [
        title,
        `\`TypeError: ${message}\`, cause \`${undici}\``,
        code(undici),
        code(http),
        code(got ?? `RequestError ${http.split(' ')[1] ?? ''}`),
        code(account),
        code(flags),
      ];
    }),
  );
}

function replyRow({ title, flags, details }: Situation, { status, reason, body, headers }: Reply): string[] {
  const lines = Object.entries(headers ?? {}).map(([name, value]) => `\`${name}: ${value}\``);
  const shown =
    reason === undefined ? "the endpoint's" : [code(body), ...lines].filter((one) => one !== '').join(', ');
  return [title, String(status), code(reason), shown, code(flags), code(details)];
}

function ownRow({ title }: Situation, { says }: OwnDoing): string[] {
  const { fetch, undici, axios, got } = says;
  return [title, ...[fetch, undici, says['node:http'], axios, got, says['node-fetch']].map(code)];
}

function code(text: string | undefined): string {
  return text === undefined || text === '' ? '' : `\`${text}\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
