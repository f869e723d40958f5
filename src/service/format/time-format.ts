import { invalidFormat } from './format-error.js';

/** A moment, for one line. */
interface Moment {
  readonly date: Date;
  /** Nanoseconds within the second, 0 to 999 999 999. */
  readonly nanos: number;
  readonly seconds: number;
}

type Piece = string | ((moment: Moment, local: boolean) => string);

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

const two = (value: number) => String(value).padStart(2, '0');
const blank = (value: number) => String(value).padStart(2, ' ');
const nanoText = (nanos: number, digits: number) => String(nanos).padStart(9, '0').slice(0, digits);

/** Date parts, in UTC or in the zone of this process. */
const part = {
  year: (d: Date, local: boolean) => (local ? d.getFullYear() : d.getUTCFullYear()),
  month: (d: Date, local: boolean) => (local ? d.getMonth() : d.getUTCMonth()),
  day: (d: Date, local: boolean) => (local ? d.getDate() : d.getUTCDate()),
  hour: (d: Date, local: boolean) => (local ? d.getHours() : d.getUTCHours()),
  minute: (d: Date, local: boolean) => (local ? d.getMinutes() : d.getUTCMinutes()),
  second: (d: Date, local: boolean) => (local ? d.getSeconds() : d.getUTCSeconds()),
  weekday: (d: Date, local: boolean) => (local ? d.getDay() : d.getUTCDay()),
};

function dayOfYear(date: Date, local: boolean): number {
  const start = Date.UTC(part.year(date, local), 0, 1);
  const today = Date.UTC(part.year(date, local), part.month(date, local), part.day(date, local));
  return Math.round((today - start) / 86_400_000);
}

/** ISO 8601 week and its year. */
function isoWeek(date: Date, local: boolean): readonly [year: number, week: number] {
  const day = new Date(Date.UTC(part.year(date, local), part.month(date, local), part.day(date, local)));
  const weekday = day.getUTCDay() || 7;
  day.setUTCDate(day.getUTCDate() + 4 - weekday);
  const start = Date.UTC(day.getUTCFullYear(), 0, 1);
  return [day.getUTCFullYear(), Math.ceil(((day.getTime() - start) / 86_400_000 + 1) / 7)];
}

function zone(date: Date, local: boolean, separator: string): string {
  const minutes = local ? -date.getTimezoneOffset() : 0;
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${separator}${two(size % 60)}`;
}

const twelve = (hour: number) => hour % 12 || 12;

/** The conversions of `strftime` that C libraries and absl agree on. */
const CONVERSIONS: ReadonlyMap<string, (moment: Moment, local: boolean) => string> = new Map(
  Object.entries({
    Y: ({ date }, l) => String(part.year(date, l)),
    C: ({ date }, l) => two(Math.floor(part.year(date, l) / 100)),
    y: ({ date }, l) => two(part.year(date, l) % 100),
    m: ({ date }, l) => two(part.month(date, l) + 1),
    b: ({ date }, l) => (MONTHS[part.month(date, l)] ?? '').slice(0, 3),
    h: ({ date }, l) => (MONTHS[part.month(date, l)] ?? '').slice(0, 3),
    B: ({ date }, l) => MONTHS[part.month(date, l)] ?? '',
    d: ({ date }, l) => two(part.day(date, l)),
    e: ({ date }, l) => blank(part.day(date, l)),
    j: ({ date }, l) => String(dayOfYear(date, l) + 1).padStart(3, '0'),
    a: ({ date }, l) => (DAYS[part.weekday(date, l)] ?? '').slice(0, 3),
    A: ({ date }, l) => DAYS[part.weekday(date, l)] ?? '',
    u: ({ date }, l) => String(part.weekday(date, l) || 7),
    w: ({ date }, l) => String(part.weekday(date, l)),
    U: ({ date }, l) => two(Math.floor((dayOfYear(date, l) + 7 - part.weekday(date, l)) / 7)),
    W: ({ date }, l) => two(Math.floor((dayOfYear(date, l) + 7 - ((part.weekday(date, l) + 6) % 7)) / 7)),
    V: ({ date }, l) => two(isoWeek(date, l)[1]),
    G: ({ date }, l) => String(isoWeek(date, l)[0]),
    g: ({ date }, l) => two(isoWeek(date, l)[0] % 100),
    H: ({ date }, l) => two(part.hour(date, l)),
    k: ({ date }, l) => blank(part.hour(date, l)),
    I: ({ date }, l) => two(twelve(part.hour(date, l))),
    l: ({ date }, l) => blank(twelve(part.hour(date, l))),
    M: ({ date }, l) => two(part.minute(date, l)),
    S: ({ date }, l) => two(part.second(date, l)),
    p: ({ date }, l) => (part.hour(date, l) < 12 ? 'AM' : 'PM'),
    P: ({ date }, l) => (part.hour(date, l) < 12 ? 'am' : 'pm'),
    z: ({ date }, l) => zone(date, l, ''),
    Z: ({ date }, l) => (l ? zone(date, l, '') : 'UTC'),
    s: ({ seconds }) => String(seconds),
    f: ({ nanos }) => nanoText(nanos, 9),
    t: () => '\t',
  } satisfies Record<string, (moment: Moment, local: boolean) => string>),
);

/** Conversions that stand for others. */
const COMPOSITES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    D: '%m/%d/%y',
    F: '%Y-%m-%d',
    T: '%H:%M:%S',
    R: '%H:%M',
    r: '%I:%M:%S %p',
    c: '%a %b %e %H:%M:%S %Y',
    x: '%m/%d/%y',
    X: '%H:%M:%S',
  }),
);

const CONVERSION = /%(?:%|([1-9])f|E([0-9]+|\*)([Sf])|E(4Y|z|\*z|T)|[-_0^#]*[0-9]*[EO]?([A-Za-z]))/y;

/** Envoy refuses formats that would break a log line. */
const NEW_LINE = /%[-_0^#]*[1-9]*(?:E|O)?n/;

/**
 * Compiles a time format: `strftime` with absl's `%E3S`, `%E*f`, `%Ez` and Envoy's `%s`, `%f` and `%1f` to `%9f`.
 * The result takes calendar time in milliseconds.
 */
export function compileTimeFormat(format: string, local: boolean): (wallMs: number) => string {
  if (NEW_LINE.test(format)) return invalidFormat(format, 'holds a line break');
  if (!local && format === '%Y-%m-%dT%H:%M:%E3SZ') return isoMillis;
  const pieces = compilePieces(format);
  return (wallMs) => {
    const micros = Math.round(wallMs * 1000);
    const seconds = Math.floor(micros / 1_000_000);
    const nanos = (micros - seconds * 1_000_000) * 1000;
    const moment = { date: new Date(seconds * 1000), nanos, seconds };
    let text = '';
    for (const piece of pieces) text += typeof piece === 'string' ? piece : piece(moment, local);
    return text;
  };
}

/** Envoy's default is what JavaScript writes by itself. */
function isoMillis(wallMs: number): string {
  return new Date(Math.floor(wallMs)).toISOString();
}

function compilePieces(format: string): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < format.length; ) {
    CONVERSION.lastIndex = at;
    const found = format[at] === '%' ? CONVERSION.exec(format) : null;
    if (found === null) {
      pieces.push(format[at] ?? '');
      at++;
      continue;
    }
    pieces.push(...piecesOf(found));
    at += found[0].length;
  }
  return pieces;
}

function piecesOf([whole, digits, precision, unit, special, letter]: RegExpExecArray): Piece[] {
  if (digits !== undefined) return [({ nanos }) => nanoText(nanos, Number(digits))];
  if (precision !== undefined) return [fraction(precision, unit === 'S')];
  if (special !== undefined) return [specialPiece(special)];
  if (letter === undefined) return ['%'];
  const composite = COMPOSITES.get(letter);
  // As strftime does, an unknown conversion stays as it is.
  return composite === undefined ? [CONVERSIONS.get(letter) ?? whole] : compilePieces(composite);
}

function specialPiece(special: string): Piece {
  if (special === 'T') return 'T';
  if (special === '4Y') return ({ date }, local) => String(part.year(date, local)).padStart(4, '0');
  return ({ date }, local) => zone(date, local, ':');
}

/** absl: `%E3S` is seconds with three digits, `%E*S` with as many as it takes; the same for `f` without seconds. */
function fraction(precision: string, withSeconds: boolean): Piece {
  const count = precision === '*' ? undefined : Math.min(Number(precision), 9);
  return ({ date, nanos }, local) => {
    const digits = count === undefined ? nanoText(nanos, 9).replace(/0+$/, '') : nanoText(nanos, count);
    if (!withSeconds) return digits === '' ? '0' : digits;
    const seconds = two(part.second(date, local));
    return digits === '' ? seconds : `${seconds}.${digits}`;
  };
}
