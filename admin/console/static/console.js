// What every page of the console does beside showing itself: times in the viewer's zone, light and dark, menus,
// questions before what cannot be undone, notes after what was done, and whether the page is live.

const MINUTE = 60, HOUR = 3600, DAY = 86400;
const FORMS = {
  full: { dateStyle: "medium", timeStyle: "short" },
  date: { dateStyle: "medium" },
  time: { timeStyle: "short" },
};
const formatters = Object.fromEntries(
  Object.entries(FORMS).map(([name, form]) => [name, new Intl.DateTimeFormat(undefined, form)]),
);

export function lasting(seconds) {
  const left = Math.max(0, Math.floor(seconds));
  if (left < MINUTE) return `${left} s`;
  for (const [size, name, below, small] of [[DAY, "d", HOUR, "h"], [HOUR, "h", MINUTE, "m"], [MINUTE, "m", 1, "s"]]) {
    if (left < size) continue;
    const rest = Math.floor((left % size) / below);
    return rest ? `${Math.floor(left / size)} ${name} ${rest} ${small}` : `${Math.floor(left / size)} ${name}`;
  }
}

// A time in the viewer's zone; UTC is its title. `left` and `ago` move on by themselves.
class LocalTime extends HTMLElement {
  static moving = new Set();

  connectedCallback() {
    this.at = new Date(this.getAttribute("datetime"));
    this.form = this.getAttribute("form") ?? "full";
    if (this.form === "left" || this.form === "ago") LocalTime.moving.add(this);
    this.show();
  }

  disconnectedCallback() {
    LocalTime.moving.delete(this);
  }

  show() {
    const seconds = (this.at - Date.now()) / 1000;
    let text;
    if (this.form === "left") text = seconds > 0 ? lasting(seconds) : `${lasting(-seconds)} ago`;
    else if (this.form === "ago") text = seconds > -1 ? "now" : `${lasting(-seconds)} ago`;
    else text = formatters[this.form].format(this.at);
    if (this.textContent !== text) this.textContent = text;
  }
}
customElements.define("local-time", LocalTime);
setInterval(() => LocalTime.moving.forEach((one) => one.show()), 1000);

// --- light and dark ---------------------------------------------------------------------------------------------

document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
  const theme = document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark";
  document.documentElement.dataset.bsTheme = theme;
  localStorage.setItem("theme", theme);
  document.dispatchEvent(new CustomEvent("theme-changed"));
});

// --- menus: one open at a time, closed by Escape and by a click elsewhere ------------------------------------------

const folds = () => document.querySelectorAll("details[data-fold][open]");
document.addEventListener("click", (event) => {
  folds().forEach((fold) => { if (!fold.contains(event.target)) fold.open = false; });
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  folds().forEach((fold) => { fold.open = false; fold.querySelector("summary").focus(); });
});

// --- notes ------------------------------------------------------------------------------------------------------

const NOTE_SECONDS = 6;
const KEPT_NOTE = "note for the next page";

function showNote({ kind, text }) {
  const note = document.createElement("div");
  note.className = `note note-${kind}`;
  note.textContent = text;
  document.getElementById("notes").append(note);
  setTimeout(() => note.remove(), NOTE_SECONDS * 1000);
}

const kept = sessionStorage.getItem(KEPT_NOTE);
if (kept) {
  sessionStorage.removeItem(KEPT_NOTE);
  showNote(JSON.parse(kept));
}

document.body.addEventListener("note", (event) => {
  const { kind, text } = event.detail;
  const answer = event.detail.elt ? event.detail : { kind, text };
  showNote(answer);
});
document.body.addEventListener("htmx:beforeOnLoad", (event) => {
  const request = event.detail.xhr;
  const leaves = request.getResponseHeader("HX-Redirect") || request.getResponseHeader("HX-Refresh");
  const triggers = request.getResponseHeader("HX-Trigger");
  if (leaves && triggers) sessionStorage.setItem(KEPT_NOTE, JSON.stringify(JSON.parse(triggers).note));
});
// what asks by itself says that it cannot by the pill, not by a note each time
const asksByItself = (event) => event.detail.elt?.matches("[data-quiet], [data-live]") ?? false;
document.body.addEventListener("htmx:responseError", (event) => {
  if (asksByItself(event)) return;
  if (event.detail.xhr.getResponseHeader("HX-Trigger") || event.detail.xhr.getResponseHeader("HX-Redirect")) return;
  showNote({ kind: "failed", text: "Something went wrong. It may help to load the page again." });
});
document.body.addEventListener("htmx:sendError", (event) => {
  if (asksByItself(event)) return;
  showNote({ kind: "failed", text: "The gateway does not answer. Nothing was changed." });
});

// --- questions before what cannot be undone -------------------------------------------------------------------------

const question = document.getElementById("question");
const answered = new WeakSet();
document.body.addEventListener("htmx:confirm", (event) => {
  if (!event.detail.question) return;
  event.preventDefault();
  const asked = event.detail.elt;
  if (answered.delete(asked)) {
    event.detail.issueRequest(true);
    return;
  }
  question.querySelector("#question-text").textContent = event.detail.question;
  question.returnValue = "no";
  question.addEventListener("close", () => {
    if (question.returnValue !== "yes") return;
    if (asked.isConnected) {
      event.detail.issueRequest(true);
      return;
    }
    const anew = document.getElementById(asked.id);  // its part of the page was drawn anew meanwhile
    if (!anew) return;
    answered.add(anew);
    anew.click();
  }, { once: true });
  question.showModal();
});

// --- what is pressed is not drawn anew before it is let go: the click would be lost ------------------------------------

let pressed = null;
const waiting = new Map();
document.addEventListener("pointerdown", (event) => { pressed = event.target; });
const release = () => setTimeout(() => {
  pressed = null;
  waiting.forEach((text, part) => part.isConnected && htmx.swap(part, text, { swapStyle: "innerHTML" }));
  waiting.clear();
});
document.addEventListener("pointerup", release);
document.addEventListener("pointercancel", release);
document.body.addEventListener("htmx:sseBeforeMessage", (event) => {
  if (!event.target.contains(pressed)) return;
  event.preventDefault();
  waiting.set(event.target, event.detail.data);
});
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const polled = event.detail.elt?.getAttribute("hx-trigger")?.startsWith("every ");
  if (polled && event.detail.target.contains(pressed)) event.detail.shouldSwap = false;
});

// --- live or not ------------------------------------------------------------------------------------------------

const pill = document.getElementById("live-pill");
function tellLive(state, word) {
  if (!pill || pill.dataset.state === state) return;
  pill.dataset.state = state;
  pill.querySelector("[data-live-word]").textContent = word;
}
document.body.addEventListener("htmx:sseOpen", () => tellLive("live", "live"));
document.body.addEventListener("htmx:sseError", () => tellLive("away", "reconnecting"));
document.body.addEventListener("htmx:sseMessage", (event) => {
  tellLive("live", "live");
  if (event.detail.type === "over") location.reload();
});
document.body.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.elt.matches("[data-live]")) return;
  if (event.detail.successful) tellLive("live", "live");
  else tellLive("away", "reconnecting");
});

// --- copying what is shown once ---------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    showNote({ kind: "done", text: "Copied." });
  } catch {
    button.parentElement.querySelector("input").select();
    showNote({ kind: "failed", text: "The browser does not let us copy. It is selected: press Ctrl + C." });
  }
});
