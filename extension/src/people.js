/** From a pasted text or a file to recipients: a table, its phone column, and each row's values. Pure. */

import { findSeparator, parse } from "./csv.js";
import { foldName, parseTemplate } from "./template.js";

const PHONE_HEADER = /phone|mobile|whatsapp|cell|tel|number|num[eé]ro|nummer|celular|handy|هاتف|جوال|telefon/i;
const PHONE_SIGNS = /^(?:tel:)?[+(\d][\d\s().\-/+\u00a0\u200e\u202a-\u202c]*$/i;
const LOOKED_AT = 200;

/** Whether a cell could be a number; the gateway decides, this only finds the column. */
export function looksLikePhone(cell) {
  const digits = cell.replace(/\D/g, "").length;
  return PHONE_SIGNS.test(cell) && digits >= 7 && digits <= 17;
}

/**
 * A table out of a file's text.
 *
 * @returns {{columns: string[], rows: string[][], firstLine: number}} `firstLine` is what the first row is called.
 */
export function readTable(text) {
  const rows = parse(text);
  const hasHeader = rows.length > 0 && !rows[0].some(looksLikePhone);
  const width = rows.reduce((most, row) => Math.max(most, row.length), 0);
  const header = hasHeader ? rows.shift() : [];
  return { columns: columnNames(header, width), rows, firstLine: hasHeader ? 2 : 1 };
}

/** A table out of what was pasted: a piece of a spreadsheet, or nothing but numbers in lines or with commas. */
export function readPasted(text) {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim());
  const numbers = lines.flatMap((line) => line.split(/[,;\t|]/)).map((cell) => cell.trim()).filter(Boolean);
  const separator = findSeparator(text);
  const hasColumns = lines.some((line) => line.split(separator).filter((cell) => cell.trim()).length > 1);
  if (hasColumns && !numbers.every(looksLikePhone)) return readTable(text);
  return { columns: ["phone"], rows: numbers.map((number) => [number]), firstLine: 1 };
}

/** The column that has the numbers, by its content first and its name second. */
export function guessPhoneColumn({ columns, rows }) {
  const looked = rows.slice(0, LOOKED_AT);
  const score = columns.map((name, column) => {
    const phones = looked.filter((row) => looksLikePhone(row[column] ?? "")).length;
    return phones / Math.max(1, looked.length) + (PHONE_HEADER.test(name) ? 0.5 : 0);
  });
  const best = score.indexOf(Math.max(...score));
  return Math.max(0, best);
}

/** Whether the file says by itself which column it is, so that nobody need be asked. */
export function isSureOf({ rows }, column) {
  const looked = rows.slice(0, LOOKED_AT);
  return looked.length > 0 && looked.filter((row) => looksLikePhone(row[column] ?? "")).length >= looked.length / 2;
}

/**
 * The recipients of a table, with the values that the text uses and no others.
 *
 * @returns {{recipients: object[], lines: number[], withoutNumber: number}} `lines[i]` is where recipient i stands.
 */
export function recipientsOf(table, phoneColumn, text) {
  const used = usedColumns(table, text);
  const recipients = [], lines = [];
  table.rows.forEach((row, index) => {
    const phone = row[phoneColumn] ?? "";
    if (!phone) return;
    recipients.push({ phone, variables: valuesOf(table, row, used) });
    lines.push(index + table.firstLine);
  });
  return { recipients, lines, withoutNumber: table.rows.length - recipients.length };
}

/** The values of one row under the names of the columns; all of them unless `columns` says which. */
export function valuesOf(table, row, columns = table.columns.keys()) {
  const values = {};
  for (const column of columns) {
    const value = row[column] ?? "";
    if (value !== "") values[table.columns[column]] = value;
  }
  return values;
}

function usedColumns(table, text) {
  const wanted = new Set(parseTemplate(text).names.map(foldName));
  return [...table.columns.keys()].filter((column) => wanted.has(foldName(table.columns[column])));
}

/** Names that may stand between {{ and }}, each once. */
function columnNames(header, width) {
  const names = [];
  for (let column = 0; column < width; column += 1) {
    const written = (header[column] ?? "").replace(/[^\p{L}\p{M}\p{N}_.\- \u200c\u200d]+/gu, " ").trim().slice(0, 90);
    const name = written || `column ${column + 1}`;
    const same = names.filter((one) => foldName(one) === foldName(name)).length;
    names.push(same ? `${name} ${same + 1}` : name);
  }
  return names;
}
