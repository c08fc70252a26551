/** Whom a campaign goes to: numbers that are pasted, or a file with a column of them. */

import { decode } from "../csv.js";
import { fillWith, h, icon, note } from "../dom.js";
import { isSureOf, looksLikePhone, readTable } from "../people.js";
import { counted, number } from "../words.js";

const MAX_FILE_BYTES = 16_000_000;
const LOOK_ROWS = 3;

export function audience(keeper, context, changed) {
  const pasted = h("textarea", { id: "pasted", rows: 4, value: keeper.draft.pasted, spellcheck: false, placeholder: "+44 7700 900001\n+44 7700 900002", "aria-describedby": "pasted-hint" });
  const picker = h("input", { type: "file", id: "file", class: "unseen", accept: ".csv,.tsv,.txt,text/csv,text/plain" });
  const wrong = h("p", { class: "wrong", role: "alert" });
  const body = h("div", { class: "stack" });
  const summary = h("p", { class: "summary", role: "status" });
  const element = h("section", { class: "card drop" }, h("div", { class: "row" }, h("h2", {}, "Recipients"), summary), body, wrong);

  pasted.addEventListener("input", () => {
    keeper.change({ pasted: pasted.value });
    tell();
  });
  picker.addEventListener("change", () => take(picker.files[0]));
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });

  async function take(file) {
    wrong.textContent = "";
    if (!file) return;
    picker.value = "";
    if (file.size > MAX_FILE_BYTES) return void (wrong.textContent = `This file has more than ${number(MAX_FILE_BYTES / 1e6)} MB.`);
    const table = readTable(decode(await file.arrayBuffer()));
    if (!table.rows.length) return void (wrong.textContent = "There are no rows in this file.");
    if (!table.rows.some((row) => row.some(looksLikePhone))) return void (wrong.textContent = "There is no column with phone numbers in this file. Save it as CSV and choose it again.");
    await keeper.takeFile({ name: file.name, table });
    draw();
  }

  async function remove() {
    await keeper.takeFile(null);
    draw();
    pasted.focus();
  }

  function draw() {
    fillWith(body, keeper.draft.source === "file" && keeper.file ? chosen() : pasting());
    tell();
  }

  function tell() {
    const { recipients, withoutNumber } = keeper.people;
    fillWith(summary, recipients.length ? h("strong", {}, counted(recipients.length, "recipient")) : "", withoutNumber ? `, ${counted(withoutNumber, "row")} without a number` : "");
    changed();
  }

  function pasting() {
    const choose = context.isPopup
      ? h("button", { type: "button", onclick: () => keeper.keep().then(() => context.openTab("compose")) }, icon("file"), "CSV file, in a tab")
      : h("label", { class: "button", for: "file" }, icon("file"), "Choose a CSV file");
    return [
      h("div", { class: "field" }, h("label", { for: "pasted" }, "Numbers, or rows from a spreadsheet"), pasted, h("p", { class: "hint", id: "pasted-hint" }, "One in each line, or with commas between them.")),
      h("div", { class: "actions" }, context.isPopup ? null : picker, choose, context.isPopup ? null : h("span", { class: "muted" }, "or drop it here")),
    ];
  }

  function chosen() {
    const { name, table } = keeper.file;
    const column = h(
      "select",
      { id: "column", onchange: () => (keeper.change({ phoneColumn: Number(column.value) }), draw()) },
      table.columns.map((one, index) => h("option", { value: index, selected: index === keeper.phoneColumn }, one)),
    );
    return [
      h("div", { class: "row file" }, h("span", { class: "file-name" }, icon("file"), name), h("button", { type: "button", class: "link", onclick: remove }, "Remove")),
      h("div", { class: "field inline" }, h("label", { for: "column" }, "The numbers are in"), column),
      isSureOf(table, keeper.phoneColumn) ? null : note("amber", "Most cells of this column do not look like phone numbers."),
      rows(table),
    ];
  }

  function rows({ columns, rows: all }) {
    return h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "The first rows" },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, columns.map((one, index) => h("th", { scope: "col", class: index === keeper.phoneColumn ? "phone" : "" }, one)))),
        h("tbody", {}, all.slice(0, LOOK_ROWS).map((row) => h("tr", {}, columns.map((_, index) => h("td", { class: index === keeper.phoneColumn ? "phone" : "", dir: "auto" }, row[index] ?? ""))))),
      ),
    );
  }

  draw();
  return { element };
}
