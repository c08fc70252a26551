/** What would happen, asked of the gateway before anything is sent; and the button that sends. */

import { Gateway, NoAnswer, Refused } from "../api.js";
import { busy, fillWith, h, icon, note } from "../dom.js";
import { enclose } from "../outbox.js";
import { parseTemplate } from "../template.js";
import { read } from "../store.js";
import { counted, duration, when } from "../words.js";

const LISTED = 8;

export async function forecast(keeper, context) {
  const gateway = new Gateway(await read("settings"));
  const result = h("div", { class: "forecast", role: "status" });
  const check = h("button", { type: "button", class: "wide", onclick: () => busy(check, ask) }, "Check before sending");
  const element = h("div", {}, check, result);
  let asked = 0;

  /** What was forecast is not what would be sent any more. */
  function forget() {
    asked += 1;
    fillWith(result);
    check.hidden = false;
    check.className = "primary wide";
  }

  async function ask() {
    const mine = (asked += 1);
    const problem = incomplete();
    if (problem) return fillWith(result, note("red", problem));
    fillWith(result, h("p", { class: "muted" }, "Checking every number…"));
    try {
      const told = await gateway.preview(keeper.request(gateway.number));
      if (mine === asked) draw(told);
    } catch (error) {
      if (mine === asked) fillWith(result, trouble(error));
    }
  }

  function incomplete() {
    if (!keeper.people.recipients.length) return "Who gets it? Paste numbers or choose a file.";
    if (!keeper.draft.text.trim()) return "Write a message first.";
    return parseTemplate(keeper.draft.text).problem;
  }

  function draw(told) {
    const bad = told.invalid_count + told.missing_variables_count;
    const offline = told.not_connected.length > 0;
    const again = (part) => {
      keeper.change(part);
      allow();
    };
    const leaveOut = choice("leave-out", `Send without the ${counted(bad, "bad row")}`, keeper.draft.leaveOutBad, (leaveOutBad) => again({ leaveOutBad }));
    const queue = choice("queue", "Queue it now; it goes out when the number is connected", keeper.draft.queueOffline, (queueOffline) => again({ queueOffline }));
    const send = h("button", { type: "button", class: "primary wide", onclick: () => busy(send, () => hand(told)) }, icon("send"), `Send ${counted(told.valid, "message")}`);
    const allow = () => {
      send.disabled = told.valid === 0 || (bad > 0 && !keeper.draft.leaveOutBad) || (offline && !keeper.draft.queueOffline);
    };
    check.hidden = true;
    fillWith(
      result,
      h("h2", {}, "Forecast"),
      h("dl", { class: "facts" }, facts(told)),
      told.note ? note("grey", told.note) : null,
      offline ? [note("red", "Your number is not connected. ", h("a", { href: "#pair" }, "Scan again")), queue] : null,
      bad ? [badRows(told), leaveOut] : null,
      send,
    );
    allow();
    send.focus();
  }

  function facts(told) {
    return [
      fact("Will be sent", counted(told.valid, "message"), "strong"),
      told.duplicates ? fact("Repeated, left out", counted(told.duplicates, "number")) : null,
      told.opted_out_count ? fact("Opted out, skipped", counted(told.opted_out_count, "person", "people")) : null,
      told.invalid_count ? fact("Bad numbers", counted(told.invalid_count, "row"), "red") : null,
      told.missing_variables_count ? fact("A value is missing", counted(told.missing_variables_count, "row"), "red") : null,
      fact("Done by", `${when(told.finish_time)} (in ${duration(told.duration_seconds)})`),
    ];
  }

  function badRows(told) {
    const { lines } = keeper.people;
    const all = [...told.invalid, ...told.missing_variables].sort((one, other) => one.index - other.index);
    const more = told.invalid_count + told.missing_variables_count - Math.min(LISTED, all.length);
    return h(
      "details",
      { class: "bad" },
      h("summary", {}, "Which rows?"),
      h("ul", {}, all.slice(0, LISTED).map((one) => h("li", {}, h("strong", {}, `Row ${lines[one.index]}: `), `${one.recipient}, ${one.reason}`)), more > 0 ? h("li", { class: "muted" }, `and ${counted(more, "more", "more")}`) : null),
    );
  }

  /** Into the outbox first, then to the gateway: by the worker, so that this page may close. */
  async function hand(told) {
    await keeper.keep();
    const request = keeper.request(gateway.number);
    await enclose(request, { name: request.name, template: request.template.slice(0, 200), count: told.valid });
    await context.ask("send");
  }

  return { element, forget };
}

function trouble(error) {
  if (error instanceof NoAnswer) return note("amber", "The gateway does not answer. Your draft is kept; check again when it is back.");
  if (!(error instanceof Refused)) throw error;
  const more = error.errors.slice(0, LISTED).map((one) => h("li", {}, `${one.field}: ${one.message}`));
  return note("red", error.message, more.length ? h("ul", {}, more) : null);
}

const fact = (name, value, kind = "") => [h("dt", {}, name), h("dd", { class: kind }, value)];

function choice(id, label, checked, tell) {
  const box = h("input", { type: "checkbox", id, checked, onchange: () => tell(box.checked) });
  return h("div", { class: "choice" }, box, h("label", { for: id }, label));
}
