// Shows the OpenAPI document. Requests are tried with a token: the API takes no cookie.

const place = document.getElementById("api-docs");
const root = document.documentElement;
const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");

// Swagger UI has a dark look of its own, by this class; the page's theme chooses.
function followTheme() {
  const { theme } = root.dataset;
  const dark = theme === "dark" || (theme !== "light" && systemIsDark.matches);
  root.classList.toggle("dark-mode", dark);
}

followTheme();
systemIsDark.addEventListener("change", followTheme);
new MutationObserver(followTheme).observe(root, { attributeFilter: ["data-theme"] });

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
