import { describe, expect, test } from 'vitest';
import { Abort, linkSignal } from '../../../src/runtime/abort.js';

describe('Abort', () => {
  test('listeners hear it once, in order, with the reason', () => {
    const abort = new Abort();
    const heard: unknown[] = [];
    abort.onAbort((reason) => heard.push(['a', reason]));
    abort.onAbort((reason) => heard.push(['b', reason]));
    abort.abort('x');
    abort.abort('y');
    expect([heard, abort.reason]).toEqual([
      [
        ['a', 'x'],
        ['b', 'x'],
      ],
      'x',
    ]);
  });

  test('a listener that comes late hears it at once; one that left does not', () => {
    const abort = new Abort();
    const heard: string[] = [];
    abort.onAbort(() => heard.push('left'))();
    abort.abort('x');
    abort.onAbort(() => heard.push('late'));
    expect(heard).toEqual(['late']);
  });

  test('a child ends with its parent and not the other way round', () => {
    const parent = new Abort();
    const { abort: child } = parent.child();
    const { abort: other, unlink } = parent.child();
    unlink();
    child.abort('child');
    expect(parent.aborted).toBe(false);
    parent.abort('parent');
    expect([child.reason, other.aborted]).toEqual(['child', false]);
  });

  test('the platform’s signal follows, made before or after', () => {
    const before = new Abort();
    const { signal } = before;
    before.abort('x');
    const after = new Abort();
    after.abort('y');
    expect([signal.reason, after.signal.aborted, after.signal.reason]).toEqual(['x', true, 'y']);
  });

  test('a platform signal can be linked and unlinked', () => {
    const controller = new AbortController();
    const linked = new Abort();
    const unlinked = new Abort();
    linkSignal(controller.signal, linked);
    linkSignal(controller.signal, unlinked)();
    controller.abort('x');
    expect([linked.reason, unlinked.aborted]).toEqual(['x', false]);
    const late = new Abort();
    linkSignal(controller.signal, late);
    expect(late.reason).toBe('x');
  });
});
