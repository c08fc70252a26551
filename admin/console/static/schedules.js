// A rule is asked for where somebody means one; the part is found anew, for a refused form is drawn again.
document.addEventListener("change", (event) => {
  if (event.target.name !== "repeat") return;
  event.target.form?.querySelector("[data-rule]")?.toggleAttribute("hidden", event.target.value !== "rule");
});
