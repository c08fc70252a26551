// A slider and the number beside it say the same; the number may be more than the slider shows.

document.addEventListener("input", (event) => {
  const slider = event.target.closest("[data-slider]");
  if (slider) {
    document.getElementById(slider.dataset.slider).value = slider.value;
    return;
  }
  const other = document.querySelector(`[data-slider="${CSS.escape(event.target.id)}"]`);
  if (other) other.value = event.target.value;
}, true);
