/** Contact files as people have them: any of four separators, quotes, line ends and encodings. Pure. */

const SEPARATORS = [",", ";", "\t", "|"];
const LOOKED_AT = 65_536;

/**
 * The text of a file: UTF-8 or UTF-16 by its mark, else UTF-8 if it is valid, else Windows-1252.
 *
 * @param {ArrayBuffer} bytes
 */
export function decode(bytes) {
  const [first, second] = new Uint8Array(bytes, 0, Math.min(2, bytes.byteLength));
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

/** The separator that cuts the most lines of the beginning into equally many cells. */
export function findSeparator(text) {
  const beginning = text.slice(0, LOOKED_AT);
  let best = ",", most = 0;
  for (const separator of SEPARATORS) {
    const counts = parse(beginning, separator).slice(0, 20).map((row) => row.length);
    const alike = counts.filter((count) => count > 1 && count === counts[0]).length;
    if (alike > most) [best, most] = [separator, alike];
  }
  return best;
}

/**
 * All rows, each an array of trimmed cells; empty lines are left out.
 *
 * Quoted cells may hold separators, line ends and doubled quotes. A quote inside an unquoted cell is a character.
 */
export function parse(text, separator = findSeparator(text)) {
  const source = text.replace(/^\uFEFF/, "");
  const rows = [];
  let row = [], cell = "", quoted = false, at = 0;
  const endCell = () => {
    row.push(cell.trim());
    cell = "";
  };
  const endRow = () => {
    endCell();
    if (row.some((one) => one !== "")) rows.push(row);
    row = [];
  };
  while (at < source.length) {
    const char = source[at];
    if (quoted) {
      if (char !== '"') cell += char;
      else if (source[at + 1] === '"') (cell += '"'), (at += 1);
      else quoted = false;
    } else if (char === '"' && cell.trim() === "") (quoted = true), (cell = "");
    else if (char === separator) endCell();
    else if (char === "\n" || char === "\r") {
      endRow();
      if (char === "\r" && source[at + 1] === "\n") at += 1;
    } else cell += char;
    at += 1;
  }
  if (cell || row.length) endRow();
  return rows;
}
