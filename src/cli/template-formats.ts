import { readFile } from 'node:fs/promises';
import { MeshError, messageOf } from '../runtime/errors.js';
import { type CustomColumn, columnRows, columnsOf, columnsOfFile } from './custom-columns.js';
import { render, renderJson } from './jsonpath/evaluate.js';
import { parseTemplate } from './jsonpath/parse.js';
import { table } from './print.js';

/** Makes what is printed of a document; `isNext`: others of its kind came before. */
export type Render = (document: unknown, isNext: boolean) => string;

/** kubectl's words for templates; what follows the sign is the template, or the file that it stands in. */
const TEMPLATES = /^(jsonpath|jsonpath-as-json|jsonpath-file|custom-columns|custom-columns-file)=(.*)$/s;

/** Whether `-o` names a template. */
export function isTemplateFormat(format: string): boolean {
  const [, , text] = TEMPLATES.exec(format) ?? [];
  return text !== undefined && text !== '';
}

/**
 * What a template makes of documents.
 * @throws MeshError `INMESH_OPTION_INVALID`: it can't be read or understood.
 */
export async function rendererOf(format: string, hasHead: boolean): Promise<Render> {
  const [, name, text = ''] = TEMPLATES.exec(format) ?? [];
  if (name === 'custom-columns') return inColumns(columnsOf(text), hasHead);
  if (name === 'custom-columns-file') return inColumns(columnsOfFile(await read(text), text), hasHead);
  const template = parseTemplate(name === 'jsonpath-file' ? await read(text) : text);
  const make = name === 'jsonpath-as-json' ? renderJson : render;
  return (document) => make(template, document);
}

function inColumns(columns: readonly CustomColumn[], hasHead: boolean): Render {
  const head = columns.map((column) => column.head);
  return (document, isNext) => {
    const rows = columnRows(columns, document);
    return table(hasHead && !isNext ? [head, ...rows] : rows);
  };
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new MeshError('INMESH_OPTION_INVALID', `the template can not be read: ${messageOf(cause)}`, {
      resource: path,
      cause,
      hint: 'Check the path and its permission',
    });
  }
}
