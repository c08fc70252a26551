/* Follows one pairing. Every sentence is in the page already, in the visitor's language: this only chooses what is shown.

   The server tells a view by server-sent events: { panel, qr, seconds, seconds_left, name, wrong_phone, compare }. Only
   `begin` and the two buttons ask for anything to be done. */

const stage = document.querySelector("[data-pair]");
const panels = new Map([...stage.querySelectorAll("[data-panel]")].map((panel) => [panel.dataset.panel, panel]));
const AGAIN_MS = { away: 5000, limited: 60000 };
const LONGEST_PAUSE_MS = 30000;
const FINAL = new Set(["connected", "over"]);

let shown = null; // the name of the panel that is shown
let last = null; // the view that was told last
let typing = false; // whether the visitor types a code instead of scanning
let endsAt = null; // when the step that is shown runs out, by performance.now()
let source = null; // the stream
let pause = 0; // how long to wait before the stream is tried again, in ms
let timer = null; // the next try of whatever is tried again
let busy = false; // whether an answer is being waited for

const address = (what) => `${stage.dataset.pair}/${what}${location.search}`;

function each(selector, change) {
  for (const element of stage.querySelectorAll(selector)) change(element);
}

function show(name) {
  if (name === shown) return;
  const panel = panels.get(name);
  const moves = shown !== null && panels.get(shown).contains(document.activeElement);
  for (const [other, element] of panels) element.hidden = other !== name;
  shown = name;
  const columns = document.querySelector("[data-columns]");
  columns.dataset.columns = name;
  for (const steps of columns.querySelectorAll("[data-steps]")) steps.hidden = (steps.dataset.steps === "type") !== typing;
  const title = panel.querySelector("h2");
  stage.querySelector("[data-said]").textContent = title.textContent;
  if (moves) title.focus();
}

function draw(qr) {
  const picture = stage.querySelector("[data-qr]");
  picture.setAttribute("viewBox", `0 0 ${qr.size} ${qr.size}`);
  picture.querySelector("path").setAttribute("d", qr.path);
}

/* Each module takes the same whole number of the screen's own pixels: uneven ones are hard to scan. */
function fit() {
  const picture = stage.querySelector("[data-qr]");
  const size = picture.viewBox.baseVal.width;
  const room = picture.parentElement.clientWidth * devicePixelRatio;
  const modules = Math.floor(room / size);
  picture.style.width = modules > 0 && size > 1 ? `${(modules * size) / devicePixelRatio}px` : "100%";
}

function count(seconds, left) {
  endsAt = performance.now() + left * 1000;
  each("[data-bar]", (bar) => (bar.max = Math.max(seconds, 1)));
  tick();
}

function tick() {
  if (endsAt === null) return;
  const left = Math.max(0, (endsAt - performance.now()) / 1000);
  each("[data-bar]", (bar) => (bar.value = left));
  each("[data-seconds]", (place) => (place.textContent = String(Math.ceil(left))));
  stage.querySelector("[data-left]").hidden = left === 0;
  stage.querySelector("[data-next]").hidden = left > 0;
}

function pill(name) {
  for (const element of document.querySelectorAll("[data-pill]")) element.hidden = element.dataset.pill !== name;
}

function apply(view) {
  const first = last === null;
  last = view;
  const waits = view.panel === "code" || view.panel === "starting";
  const wrong = waits && Boolean(view.wrong_phone);
  stage.querySelector("[data-alert]").hidden = !wrong;
  typing &&= waits && !wrong;
  if (view.qr) draw(view.qr);
  if (view.name) each("[data-name]", (place) => (place.textContent = view.name));
  each("[data-account]", (line) => (line.hidden = !view.name));
  stage.querySelector("[data-compare]").textContent = view.compare ?? "";
  stage.querySelector("[data-compare]").hidden = !view.compare;
  if (!typing) {
    endsAt = null;
    if (view.seconds_left !== undefined) count(view.seconds, view.seconds_left);
    show(view.panel === "connected" && first ? "already" : view.panel);
    fit();
  }
  if (FINAL.has(view.panel)) leave();
}

function leave() {
  source?.close();
  source = null;
  clearTimeout(timer);
  pill(null);
}

function later(work, milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(work, milliseconds);
}

/* An answer that is no view, as a panel: gone for good, or to be tried again. */
function refused(status) {
  if ([403, 404, 410].includes(status)) return "over";
  if (status === 429) return "limited";
  return status === 409 ? "failed" : "away";
}

async function ask(what) {
  const answer = await fetch(address(what), { method: "POST" });
  return answer.ok ? await answer.json() : { refused: answer.status };
}

async function begin() {
  if (busy) return;
  busy = true;
  clearTimeout(timer);
  typing = false;
  if (shown === null) show("loading");
  try {
    const answer = await ask("begin");
    apply(answer.refused ? { panel: refused(answer.refused) } : answer);
    if (!FINAL.has(last.panel) && !answer.refused) follow();
  } catch {
    apply({ panel: "away" });
  }
  busy = false;
  if (AGAIN_MS[last.panel] && source === null) later(begin, AGAIN_MS[last.panel]);
}

/* The stream is opened again by the browser while it can; where the server refused it, by us after looking why. */
function follow() {
  source?.close();
  source = new EventSource(address("events"));
  source.addEventListener("open", () => {
    pause = 0;
    pill("live");
  });
  source.addEventListener("view", (event) => apply(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    pill("reconnecting");
    if (source?.readyState === EventSource.CLOSED) again();
  });
}

function again() {
  source = null;
  pause = Math.min(LONGEST_PAUSE_MS, pause * 2 || 2000);
  later(look, pause);
}

async function look() {
  try {
    const answer = await fetch(location.href, { method: "HEAD" });
    if (answer.status === 403 || answer.status === 410) return apply({ panel: "over" });
    if (answer.ok) return follow();
  } catch {
    // the network is away: tried again
  }
  again();
}

async function type() {
  if (busy) return;
  busy = true;
  each("[data-trouble]", (line) => (line.hidden = true));
  let answer = { refused: 503 };
  try {
    answer = await ask("code");
  } catch {
    // told below as for a server that is away
  }
  busy = false;
  if (answer.refused) {
    if (refused(answer.refused) === "over") return apply({ panel: "over" });
    const trouble = answer.refused === 501 ? "not_here" : "later";
    stage.querySelector(`[data-trouble="${trouble}"]`).hidden = false;
    return;
  }
  const [left, right] = stage.querySelector("[data-typed]").children;
  const code = answer.code.replaceAll("-", "");
  left.textContent = code.slice(0, 4);
  right.textContent = code.slice(4);
  typing = true;
  count(answer.seconds_left ?? 0, answer.seconds_left ?? 0);
  show("typed");
}

stage.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (button?.dataset.do === "begin") begin();
  if (button?.dataset.do === "code") type();
  if (button?.dataset.do === "qr") {
    typing = false;
    apply(last);
  }
});
addEventListener("resize", fit);
addEventListener("pagehide", () => source?.close());
setInterval(tick, 250);
begin();
