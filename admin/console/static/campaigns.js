// Days that are filtered by are those of the viewer's zone.
for (const field of document.querySelectorAll("[data-own-zone]")) {
  field.value ||= Intl.DateTimeFormat().resolvedOptions().timeZone;
}

const draft = document.querySelector("[data-draft]");
if (draft) {
  const text = draft.querySelector("#text");
  const when = draft.querySelector("#when");

  const showLater = () => draft.querySelector("[data-later]").toggleAttribute("hidden", when.value !== "later");
  when.addEventListener("change", showLater);
  showLater();

  // a list is pasted or it is a file: what was there of the other kind goes
  draft.addEventListener("input", (event) => {
    const other = event.target.dataset.other;
    if (other && event.target.value) draft.querySelector(`#${other}`).value = "";
  }, { capture: true });

  // what was foretold before a change does not hold any more
  const outdate = (event) => {
    const forecast = draft.querySelector("#forecast");
    if (forecast.contains(event.target)) return;
    forecast.classList.add("stale");
    forecast.querySelector("#send")?.setAttribute("disabled", "");
  };
  draft.addEventListener("input", outdate);
  draft.addEventListener("change", outdate);

  draft.addEventListener("click", (event) => {
    const { insert, all } = event.target.dataset;
    if (insert) {
      text.setRangeText(insert, text.selectionStart, text.selectionEnd, "end");
      text.focus();
      text.dispatchEvent(new Event("input", { bubbles: true }));
    }
    if (all) {
      const boxes = [...draft.querySelectorAll(`[name="${all}"]`)];
      const on = boxes.some((box) => !box.checked);
      boxes.forEach((box) => { box.checked = on; });
      draft.dispatchEvent(new Event("change"));
    }
    if ("withoutMedia" in event.target.dataset) {
      draft.querySelector("#media").replaceChildren();
      draft.querySelector("#media_file").value = "";
      outdate(event);
    }
  });

  draft.addEventListener("submit", (event) => event.preventDefault());
  document.body.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "contacts-read") htmx.trigger(document.body, "contacts-read");
    if (event.target.id !== "forecast" || !("refused" in event.target.dataset)) return;
    const told = [...draft.querySelectorAll(".field-error")].find((one) => one.textContent.trim());
    const field = told && draft.querySelector(`[aria-describedby~="${told.id}"]`);
    (field?.matches("fieldset") ? field.querySelector("input") : field)?.focus();
  });
}
