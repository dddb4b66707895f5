// Shows the OpenAPI document. Requests are tried with a token: the API takes no cookie.

const place = document.getElementById("api-docs");

window.SwaggerUIBundle({
  url: place.dataset.schemaUrl,
  domNode: place,
  presets: [window.SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "list",
  validatorUrl: null,
  requestInterceptor: (request) => ({ ...request, credentials: request.loadSpec ? "same-origin" : "omit" }),
});
