import { describe, expect, test } from 'vitest';
import { LinePrefixer } from '../../../src/cli/prefix.js';

describe('LinePrefixer', () => {
  test('each line gets the prefix, a cut line waits for its end', () => {
    const written: string[] = [];
    const lines = new LinePrefixer('reviews-v1 | ', (text) => written.push(text));
    lines.push('one\ntw');
    lines.push('o\nthree');
    expect(written.join('')).toBe('reviews-v1 | one\nreviews-v1 | two\n');
    lines.end();
    expect(written.join('')).toBe('reviews-v1 | one\nreviews-v1 | two\nreviews-v1 | three\n');
  });

  test('nothing is written for nothing', () => {
    const written: string[] = [];
    const lines = new LinePrefixer('x', (text) => written.push(text));
    lines.push('');
    lines.end();
    expect(written).toEqual([]);
  });
});
