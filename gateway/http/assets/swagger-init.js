// Starts Swagger UI on the page of /docs. A file of its own, so that the page needs no inline script.
const place = document.getElementById("swagger-ui");
window.SwaggerUIBundle({
  url: place.dataset.openapiUrl,
  domNode: place,
  presets: [window.SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // the default asks a server on the internet
});
