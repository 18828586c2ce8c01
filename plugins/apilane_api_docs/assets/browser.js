// Shows the calls of one application, as the caller whose token is typed may make them.
// Tokens of callers stay in the memory of this page. Only the application's token may be in the address.
"use strict";

const base = document.body.dataset.base;
const form = document.getElementById("caller");
const message = document.getElementById("message");
const address = new URLSearchParams(location.search);
let headers = {};

function parameter(name) {
  for (const [key, value] of address) if (key.toLowerCase() === name.toLowerCase()) return value;
  return "";
}

function follow(scheme) {
  document.documentElement.classList.toggle("dark-mode", scheme.matches);
}

function withCaller(request) {
  const url = new URL(request.url, location.href);
  if (url.origin === location.origin) request.headers = { ...request.headers, ...headers };
  return request;
}

function readCaller() {
  headers = { "x-application-token": form.app.value.trim() };
  if (form.user.value.trim()) headers.Authorization = `Bearer ${form.user.value.trim()}`;
  if (form.operator.checked) headers["x-client-id"] = "portal";
}

// Swagger UI asks for a file where a text has a media type. In a parameter it is JSON to type.
function withTextFields(found) {
  for (const methods of Object.values(found.paths))
    for (const operation of Object.values(methods))
      for (const parameter of operation.parameters || []) delete parameter.schema.contentMediaType;
  return found;
}

async function show() {
  readCaller();
  message.textContent = "Reading the calls ...";
  let answer;
  try {
    answer = await fetch(`${base}/openapi.json`, { headers, credentials: "omit" });
  } catch {
    message.textContent = "The server does not answer.";
    return;
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    message.textContent = `The server refuses: ${found.Message || answer.status}. Check the token of the application.`;
    return;
  }
  message.textContent = found.info.description;
  document.getElementById("title").textContent = found.info.title;
  document.title = `${found.info.title} - API browser`;
  const many = Object.keys(found.components.schemas).length > 300;
  SwaggerUIBundle({
    spec: withTextFields(found),
    dom_id: "#calls",
    deepLinking: false,
    docExpansion: "list",
    defaultModelsExpandDepth: many ? -1 : 0,
    defaultModelExpandDepth: 3,
    displayRequestDuration: true,
    filter: true,
    validatorUrl: null,
    persistAuthorization: false,
    requestInterceptor: withCaller,
    syntaxHighlight: { activated: !many, theme: "agate" },
  });
}

const dark = matchMedia("(prefers-color-scheme: dark)");
follow(dark);
dark.addEventListener("change", follow);

form.app.value = parameter("appToken");
const name = parameter("appName");
if (name) document.getElementById("title").textContent = name;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  show();
});
if (form.app.value) show();
