// The thread: it stays where the reader is while messages come, follows the newest where they are at the end, and
// Ctrl + Enter sends.

const messages = document.getElementById("messages");
const NEAR_PIXELS = 60;

if (messages) {
  const atEnd = () => messages.scrollHeight - messages.scrollTop - messages.clientHeight < NEAR_PIXELS;
  const toEnd = () => { messages.scrollTop = messages.scrollHeight; };
  let follow = true, fromEnd = 0, answered = false;
  toEnd();
  document.fonts?.ready.then(() => { if (follow) toEnd(); });
  messages.addEventListener("scroll", () => { follow = atEnd(); });

  document.body.addEventListener("htmx:beforeSwap", (event) => {
    follow = atEnd();
    fromEnd = messages.scrollHeight - messages.scrollTop;
    if (event.detail.target.id === "answer") answered = event.detail.xhr.status === 200;
  });
  document.body.addEventListener("htmx:afterSwap", (event) => {
    const id = event.detail.target.id;
    if (id === "older") messages.scrollTop = messages.scrollHeight - fromEnd;
    else if (id === "latest" && (follow || answered)) { toEnd(); answered = false; }
    else if (id === "answer") document.getElementById("answer-text").focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !event.target.matches("[data-answer]")) return;
    event.target.form.requestSubmit();
  });
}
