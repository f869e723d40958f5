import { createHash } from 'node:crypto';
import type { Clock, Timer } from '../../runtime/clock.js';
import { type Debounced, debounce } from '../../runtime/debounce.js';
import { type ConfigLimits, DEFAULT_LIMITS } from '../schema/limits.js';
import { type FilesRead, readFiles } from './read-files.js';
import type { ConfigSink, ConfigSource } from './source.js';
import { type PathWatch, watchPaths } from './watch-paths.js';

export interface FileSourceOptions {
  /** Files, and directories whose `.yaml`, `.yml` and `.json` files are read. */
  readonly paths: readonly string[];
  /** What the source is called; the default is `files`. */
  readonly name?: string | undefined;
  readonly limits?: Partial<ConfigLimits> | undefined;
  /** Changes are read after this long without another one. Default 50. */
  readonly quietMs?: number | undefined;
  /** Files are compared this often even when the operating system reports nothing (network drives). Default 5000. */
  readonly pollMs?: number | undefined;
}

/** Makes a source that reads files and directories, and reads them again when they change. */
export function createFileSource(options: FileSourceOptions, clock: Clock): ConfigSource {
  return { run: (sink, signal) => new Run(options, sink, clock).until(signal) };
}

/** One run of a file source: at most one reading at a time, and one more after a change during it. */
class Run {
  readonly #options: FileSourceOptions;
  readonly #limits: ConfigLimits;
  readonly #sink: ConfigSink;
  readonly #clock: Clock;
  readonly #watching: PathWatch;
  readonly #soon: Debounced;
  #timer: Timer | undefined;
  #reading: Promise<void> | undefined;
  #isStale = false;
  #isStopped = false;
  /** Files that had no bytes when they were read last. */
  #empty: ReadonlySet<string> = new Set();
  /** Of what was proposed last. */
  #fingerprint: string | undefined;
  #fail: (error: unknown) => void = () => {};

  constructor(options: FileSourceOptions, sink: ConfigSink, clock: Clock) {
    const { quietMs = 50 } = options;
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#sink = sink;
    this.#clock = clock;
    this.#soon = debounce(() => this.#read(), { quietMs, maxMs: quietMs * 10 }, clock);
    // Watching starts before the first reading, so that no change falls in between.
    this.#watching = watchPaths(options.paths, () => this.#soon.call());
  }

  async until(signal: AbortSignal): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => {
        this.#fail = reject;
        signal.addEventListener('abort', () => resolve(), { once: true });
        if (signal.aborted) resolve();
        else this.#poll();
      });
    } finally {
      this.#isStopped = true;
      this.#soon.cancel();
      this.#timer?.cancel();
      this.#watching.close();
      await this.#reading;
    }
  }

  #poll(): void {
    this.#timer = this.#clock.schedule(this.#options.pollMs ?? 5000, () => this.#poll());
    this.#read();
  }

  #read(): void {
    this.#isStale = true;
    this.#reading ??= this.#readAll()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#reading = undefined;
      });
  }

  async #readAll(): Promise<void> {
    while (this.#isStale && !this.#isStopped) {
      this.#isStale = false;
      this.#watching.refresh();
      const input = await readFiles(this.#options.paths, this.#limits, 'refuse');
      if (this.#isStopped) return;
      if (this.#isBeingWritten(input)) this.#soon.call();
      else if (this.#isNews(input)) this.#sink.propose(this.#options.name ?? 'files', input);
    }
  }

  /** Looking again, and finding the same, is no reason to report the same once more. */
  #isNews({ files, violations }: FilesRead): boolean {
    const hash = createHash('sha256');
    for (const { file, content } of files) hash.update(`${file}\n${content.length}\n`).update(content);
    for (const { origin, message } of violations) hash.update(`${origin.file}\n${message}\n`);
    const fingerprint = hash.digest('base64');
    const isNews = fingerprint !== this.#fingerprint;
    this.#fingerprint = fingerprint;
    return isNews;
  }

  /** A file that has just become empty is most likely about to be filled: programs truncate before they write. */
  #isBeingWritten({ files }: FilesRead): boolean {
    const before = this.#empty;
    const empty = files.filter(({ content }) => content.length === 0).map(({ file }) => file);
    this.#empty = new Set(empty);
    return empty.some((file) => !before.has(file));
  }
}
