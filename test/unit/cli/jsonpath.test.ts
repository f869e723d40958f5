import { describe, expect, test } from 'vitest';
import { render, renderJson } from '../../../src/cli/jsonpath/evaluate.js';
import { parseExpression, parseTemplate } from '../../../src/cli/jsonpath/parse.js';

const LIST = {
  kind: 'List',
  items: [
    {
      metadata: { name: 'reviews', labels: { app: 'reviews', 'app.kubernetes.io/name': 'r' } },
      spec: { hosts: ['reviews', 'reviews.shop'], ports: [{ name: 'http', number: 80 }], isOn: true },
    },
    {
      metadata: { name: 'ratings', labels: { app: 'ratings' } },
      spec: {
        hosts: ['ratings'],
        ports: [
          { name: 'http', number: 80 },
          { name: 'tls', number: 443 },
        ],
        isOn: false,
      },
    },
  ],
};

test.each([
  ['fields', '{.kind}', 'List'],
  ['the dollar is what is there', '{$.kind}', 'List'],
  ['text around', 'kind={.kind};', 'kind=List;'],
  ['no escapes outside of quotes', String.raw`{.kind}\n`, String.raw`List\n`],
  ['escapes in quotes', String.raw`{.kind}{"\n"}{'\t'}{"\u00e9\x41\"\\"}`, 'List\n\té\u0041"\\'],
  ['every item', '{.items[*].metadata.name}', 'reviews ratings'],
  ['an item', '{.items[1].metadata.name}', 'ratings'],
  ['an item from the end', '{.items[-2].metadata.name}', 'reviews'],
  ['some items', '{.items[0:1].metadata.name}', 'reviews'],
  ['items up to the last', '{.items[:-1].metadata.name}', 'reviews'],
  ['every other item', '{.items[::2].metadata.name}', 'reviews'],
  ['no items', '{.items[1:1].metadata.name}', ''],
  ['every field', '{.items[0].spec.ports[0].*}', 'http 80'],
  ['names in quotes', "{.items[0]['kind','metadata']['name']}", 'reviews'],
  ['a path in quotes', "{.items[0]['metadata.name', 'spec.isOn']}", 'reviews true'],
  ['points in names', String.raw`{.items[0].metadata.labels.app\.kubernetes\.io/name}`, 'r'],
  ['points in names in quotes', String.raw`{.items[0].metadata.labels['app\.kubernetes\.io/name']}`, 'r'],
  ['several items', '{.items[0,1].metadata.name}', 'reviews ratings'],
  ['anywhere', '{..name}', 'reviews http ratings http tls'],
  ['items anywhere', '{.items[*]..ports[0].number}', '80 80'],
  ['what is not there', '{.items[*].nothing.at.all}', ''],
  ['what no text has', '{.kind.name}', ''],
  [
    'objects and arrays',
    '{.items[0].spec.ports}{.items[0].spec.ports[0]}',
    '[{"name":"http","number":80}]{"name":"http","number":80}',
  ],
  ['numbers and booleans', '{.items[1].spec.isOn} {.items[1].spec.ports[1].number}', 'false 443'],
  ['a filter', '{.items[?(@.metadata.name=="ratings")].spec.hosts[0]}', 'ratings'],
  ['a filter by what is not', "{.items[?(@.metadata.name != 'ratings')].metadata.name}", 'reviews'],
  ['a filter by number', '{.items[*].spec.ports[?(@.number>=443)].name}', 'tls'],
  ['a filter by boolean', '{.items[?(@.spec.isOn==true)].metadata.name}', 'reviews'],
  [
    'a filter by presence',
    String.raw`{.items[?(@.metadata.labels.app\.kubernetes\.io/name)].metadata.name}`,
    'reviews',
  ],
  [
    'a filter with two fields',
    '{.items[?(@.metadata.name==@.metadata.labels.app)].metadata.name}',
    'reviews ratings',
  ],
  ['a filter with brackets in a text', '{.items[?(@.metadata.name==")]}")].metadata.name}', ''],
  ['a filter of what lacks the field', '{.items[?(@.nothing!="a")].metadata.name}', ''],
  ['a range', '{range .items[*]}{.metadata.name}={.spec.hosts[0]};{end}', 'reviews=reviews;ratings=ratings;'],
  [
    'ranges in a range',
    '{range .items[*]}{.metadata.name}:{range .spec.ports[*]}{.number},{end} {end}.',
    'reviews:80, ratings:80,443, .',
  ],
  ['a range over nothing', '{range .nothing[*]}{.a}{range .b}{.c}{end}{end}end', 'end'],
  ['spaces', '{ .items[ 0 ].metadata.name }{ range  .items[*] }x{ end }', 'reviewsxx'],
  ['no braces', '.items[*].metadata.name', 'reviews ratings'],
  ['everything', '{@.items[0].spec.hosts}', '["reviews","reviews.shop"]'],
])('%s', (_, template, wanted) => {
  expect(render(parseTemplate(template), LIST)).toBe(wanted);
});

test('an array may be what it starts with, and nothing is what null is', () => {
  expect(render(parseTemplate('{[*].a}'), [{ a: 1 }, { a: null }, { a: 'x' }])).toBe('1  x');
  expect(render(parseTemplate('{.a[0].b}'), { a: null })).toBe('');
});

test('results as JSON are an array for each expression', () => {
  expect(renderJson(parseTemplate('{.items[*].metadata.name}'), LIST)).toBe(
    '[\n    "reviews",\n    "ratings"\n]\n',
  );
});

test('an expression alone has braces, a point, or neither', () => {
  for (const text of ['{.metadata.name}', '.metadata.name', 'metadata.name', '{metadata.name}'])
    expect(parseExpression(text).path.map(({ type }) => type)).toEqual(['field', 'field']);
});

describe('mistakes are told with their place', () => {
  test.each([
    ['{.items[*.name}', 'the bracket is not closed at character 8', 'Close it with ]'],
    ['{.items[a]}', 'is no index at character 9', 'Write a number'],
    ['{.items[0', 'the bracket is not closed at character 8', 'Close it with ]'],
    ['{.items', 'the brace is not closed at character 1', 'Close it with }'],
    ['{items}', '"items" is no keyword at character 2', 'Fields begin with a point'],
    ['{.a}{end}', 'there is no range to end at character 5', 'Begin one'],
    ['x{range .items[*]}{.a}', 'the range has no end at character 2', '{end}'],
    ['{.a[?(@.b=="c"]}', '"]" is not expected at character 15', 'backslash'],
    ['{.a[?(@.b==c)]}', 'the filter compares nothing at character 12', 'texts stand in quotes'],
    ['{.a[?(@.b=~"c")]}', '=~ is no operator at character 10', 'jq'],
    ['{.a[?(@.b=="c"&&@.d=="e")]}', '"&" is not expected at character 15', 'backslash'],
    ['{.a[?@.b]}', 'a parenthesis is missing at character 6', '[?('],
    ['{"a}', 'the text is not closed at character 2', 'Close it with "'],
    [String.raw`{"\q"}`, 'escape that there is not at character 2', String.raw`\n`],
    ['{.a....b}', '.. follows ..', ''],
    ['{.a[]}', 'an index is missing at character 5', '[0]'],
    ['{.a[::0]}', 'the step is not positive at character 5', 'from 1'],
    ['{.a.[0]x}', '"x" is not expected', 'Fields begin with a point'],
  ])('%s', (template, what, hint) => {
    let message = '';
    try {
      parseTemplate(template);
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain('INMESH_OPTION_INVALID');
    expect(message).toContain(what);
    expect(message).toContain(hint);
  });

  test.each([
    ['{.items[2].metadata}', 'the array has 2 elements, and none of that index, at character 9'],
    ['{.items[-3]}', 'the array has 2 elements'],
    ['{.items[0].metadata[0]}', 'what is there is no array, but an object, at character 21'],
    ['{.kind[?(@.a)]}', 'no array, but a string'],
    ['{.items[?(@.metadata.name==1)]}', '"reviews" and 1 can\'t be compared by =='],
    ['{.items[?(@.spec.isOn<true)]}', "can't be compared by <"],
    ['{.items[?(@.spec.hosts[*]=="a")]}', 'several values are compared at once'],
  ])('%s', (template, what) => {
    const parsed = parseTemplate(template);
    expect(() => render(parsed, LIST)).toThrow(what);
  });
});
