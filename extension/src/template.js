/**
 * Texts with `{{name}}` and `{{ name | fallback }}`, read as the gateway reads them, for the preview while writing.
 *
 * What is sent is what the gateway renders; it is the gateway's own samples that the forecast shows. Pure.
 */

const STRAY = "There is }} without {{ before it.";
const NAME = /^[\p{L}\p{M}\p{N}_\-. \u200c\u200d]+$/u;

/** Names are compared without regard to case and to the number of spaces. */
export function foldName(name) {
  return name.normalize("NFC").trim().replace(/\s+/g, " ").toUpperCase().toLowerCase();
}

/**
 * A text cut into literals and slots.
 *
 * @returns {{parts: (string | {name: string, fallback: string | null})[], names: string[], problem: string}}
 *   `problem` is empty unless the gateway would refuse the text.
 */
export function parseTemplate(text) {
  const parts = [], names = [];
  let end = 0, problem = "";
  for (let start; (start = text.indexOf("{{", end)) >= 0; ) {
    const close = text.indexOf("}}", start + 2);
    const inner = close < 0 ? "" : text.slice(start + 2, close);
    if (close < 0 || inner.includes("{{")) {
      problem ||= "There is {{ without }} after it.";
      break;
    }
    const [before, ...after] = inner.split("|");
    const name = before.trim();
    if (!name) problem ||= "There is no name between {{ and }}.";
    else if (!NAME.test(name)) problem ||= `“${name}” cannot be a name: use letters, digits, spaces, _ - and .`;
    if (text.slice(end, start).includes("}}")) problem ||= STRAY;
    parts.push(text.slice(end, start), { name, fallback: after.length ? after.join("|").trim() : null });
    if (name) names.push(name);
    end = close + 2;
  }
  const rest = text.slice(end);
  if (rest.includes("}}")) problem ||= STRAY;
  parts.push(rest);
  return { parts: parts.filter((part) => part !== ""), names, problem };
}

/**
 * The text for one recipient, in pieces.
 *
 * @returns {{text: string, missing: boolean, filled: boolean}[]} `missing` pieces are slots without a value.
 */
export function fill(template, values) {
  const byKey = new Map(Object.entries(values).map(([name, value]) => [foldName(name), value]));
  return template.parts.map((part) => {
    if (typeof part === "string") return { text: part, missing: false, filled: false };
    const value = byKey.get(foldName(part.name));
    if (value !== undefined && value.trim() !== "") return { text: value, missing: false, filled: true };
    if (part.fallback !== null) return { text: part.fallback, missing: false, filled: true };
    return { text: `{{${part.name}}}`, missing: true, filled: false };
  });
}
