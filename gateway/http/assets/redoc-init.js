// Starts ReDoc on the page of /redoc. A file of its own, so that the page needs no inline script.
const place = document.getElementById("redoc");
const fontFamily = "system-ui, sans-serif"; // the default asks for fonts that this machine may not have
window.Redoc.init(
  place.dataset.openapiUrl,
  { theme: { typography: { fontFamily, headings: { fontFamily } } } },
  place,
);
