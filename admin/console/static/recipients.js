// What was told about a list does not hold any more once the form has changed.
document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-import]");
  const looked = form?.querySelector("#looked");
  if (!looked || looked.contains(event.target)) return;
  looked.classList.add("stale");
  looked.querySelector("#import")?.setAttribute("disabled", "");
});

// A long list is looked through after the answer: when that is done, it may be imported.
document.body.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id === "fates" && !event.target.hasAttribute("hx-trigger")) {
    document.querySelector("#go")?.removeAttribute("hidden");
  }
});
