/** Who has written and was not read yet. */

import { Gateway, NoAnswer, Refused } from "../api.js";
import { busy, fillWith, h, icon, note } from "../dom.js";
import { follow, read } from "../store.js";
import { number, spaced, when } from "../words.js";

export async function showInbox(view, context) {
  const gateway = new Gateway(await read("settings"));
  const list = h("div", { class: "list" });
  let unread = -1;
  fillWith(view, h("h1", {}, "Inbox"), list);

  async function draw() {
    try {
      const { items, total } = await gateway.unread();
      fillWith(list, items.length ? h("section", { class: "card rows" }, items.map(thread)) : nothing(), total > items.length ? h("p", { class: "muted" }, `and ${number(total - items.length)} more`) : null);
    } catch (error) {
      if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
      fillWith(list, note("amber", error.message));
    }
  }

  function thread(one) {
    const name = one.name || (one.phone_number ? spaced(one.phone_number) : "Somebody");
    const done = h("button", { type: "button", class: "link", "aria-label": `Mark as read: ${name}`, onclick: () => busy(done, () => markRead(one)) }, "Mark as read");
    return h(
      "div",
      { class: "row ended" },
      h("div", { class: "grow" }, h("strong", { dir: "auto" }, name), h("span", { dir: "auto" }, one.last_text || "A file"), h("span", { class: "muted" }, when(one.last_message_at))),
      h("div", { class: "end" }, h("span", { class: "count", "aria-label": `${one.unread} unread` }, number(one.unread)), done),
    );
  }

  async function markRead(one) {
    try {
      await gateway.markRead(one.id);
    } catch (error) {
      if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
      return fillWith(list, note("amber", error.message));
    }
    await draw();
    await context.ask("look");
  }

  const end = follow("live", (live) => {
    if (live && live.unread !== unread) {
      unread = live.unread;
      draw();
    }
  });
  fillWith(list, h("div", { class: "spinner", role: "img", "aria-label": "Loading" }));
  await draw();
  return end;
}

function nothing() {
  return h("section", { class: "card empty" }, icon("inbox"), h("p", {}, "Nobody waits for an answer."));
}
