/** A new campaign: whom, what, what would happen, and the button that sends. */

import { fillWith, h, icon, note } from "../dom.js";
import { DraftKeeper } from "../draft.js";
import { follow, read } from "../store.js";
import { fill, parseTemplate } from "../template.js";
import { valuesOf } from "../people.js";
import { counted, number } from "../words.js";
import { audience } from "./audience.js";
import { forecast } from "./forecast.js";
import { outboxView } from "./outbox.js";

const MAX_TEXT = 5_000;

export async function showCompose(view, context) {
  const kept = h("p", { class: "muted kept", role: "status" });
  const away = h("div", {});
  const keeper = await DraftKeeper.load((problem) => fillWith(kept, problem ? note("amber", problem) : "Draft kept in this browser"));
  const parts = { text: writing(keeper, changed), forecast: await forecast(keeper, context) };
  parts.list = audience(keeper, context, changed);
  const nameInput = h("input", { id: "name", type: "text", maxLength: 255, value: keeper.draft.name, oninput: () => keeper.change({ name: nameInput.value }), placeholder: "For your own lists, such as Spring sale" });
  const form = h(
    "div",
    { class: "compose" },
    h("div", { class: "column" }, parts.list.element, parts.text.element),
    h("div", { class: "column side" }, parts.text.preview, h("section", { class: "card" }, h("div", { class: "field" }, h("label", { for: "name" }, "Name (only you see it)"), nameInput), parts.forecast.element), kept),
  );
  const letter = outboxView(context, () => form);
  fillWith(view, h("h1", {}, "New campaign"), away, letter.element, form);

  function changed() {
    parts.text.redraw();
    parts.forecast.forget();
  }

  async function showReach(live) {
    const gone = live?.reach === "away";
    fillWith(away, gone ? note("amber", h("strong", {}, "The gateway is away. "), "Your draft is kept in this browser, and nothing is lost. It says here when the gateway is back.") : null);
  }

  const ends = [follow("live", showReach), follow("outbox", (now) => letter.show(now)), () => keeper.keep()];
  await showReach(await read("live"));
  await letter.show(await read("outbox"));
  changed();
  window.addEventListener("pagehide", () => keeper.keep(), { once: true });
  return () => ends.forEach((end) => end());
}

/** The text with its variables, and how it reads for each recipient. */
function writing(keeper, changed) {
  let at = 0;
  const text = h("textarea", { id: "text", rows: 6, maxLength: MAX_TEXT, value: keeper.draft.text, placeholder: "Hello {{name}}, …", "aria-describedby": "text-hint text-wrong" });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Insert a variable" });
  const wrong = h("p", { class: "wrong", id: "text-wrong", role: "alert" });
  const length = h("span", { class: "muted" });
  const bubble = h("div", { class: "bubble", dir: "auto" });
  const whose = h("span", { class: "muted", role: "status" });
  const previous = h("button", { type: "button", class: "round", "aria-label": "The recipient before", onclick: () => move(-1) }, icon("left"));
  const next = h("button", { type: "button", class: "round", "aria-label": "The next recipient", onclick: () => move(1) }, icon("right"));
  const element = h(
    "section",
    { class: "card" },
    h("h2", {}, "Message"),
    h("div", { class: "field" }, h("label", { for: "text" }, "Text"), chips, text, h("p", { class: "hint", id: "text-hint" }, "{{name}} is filled in for each; {{name | friend}} says what stands there without one. ", length), wrong),
  );
  const preview = h("section", { class: "card preview" }, h("div", { class: "row" }, h("h2", {}, "Preview"), h("div", { class: "flip" }, previous, whose, next)), h("div", { class: "chat" }, bubble));

  text.addEventListener("input", () => {
    keeper.change({ text: text.value });
    changed();
  });

  function insert(name) {
    text.setRangeText(`{{${name}}}`, text.selectionStart, text.selectionEnd, "end");
    text.focus();
    text.dispatchEvent(new Event("input"));
  }

  function move(by) {
    at += by;
    redraw();
  }

  function redraw() {
    const { table } = keeper;
    at = Math.min(Math.max(at, 0), Math.max(0, table.rows.length - 1));
    fillWith(chips, keeper.variables.map((name) => h("button", { type: "button", class: "chip", onclick: () => insert(name) }, name)));
    const template = parseTemplate(keeper.draft.text);
    wrong.textContent = template.problem;
    length.textContent = `${number(keeper.draft.text.length)} of ${number(MAX_TEXT)}`;
    const row = table.rows[at] ?? [];
    const pieces = fill(template, valuesOf(table, row));
    fillWith(bubble, keeper.draft.text ? pieces.map(piece) : h("span", { class: "muted" }, "Your message appears here."));
    const missing = pieces.filter((one) => one.missing).length;
    fillWith(whose, table.rows.length ? `${row[keeper.phoneColumn] ?? ""} · ${number(at + 1)} of ${number(table.rows.length)}` : "", missing ? h("span", { class: "wrong-inline" }, ` · ${counted(missing, "value")} missing`) : null);
    previous.disabled = at === 0;
    next.disabled = at >= table.rows.length - 1;
  }

  return { element, preview, redraw };
}

function piece({ text, missing, filled }) {
  if (missing) return h("mark", { class: "missing" }, text);
  return filled ? h("span", { class: "filled" }, text) : text;
}
