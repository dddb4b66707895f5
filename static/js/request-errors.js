/* A fragment that could not be fetched says so in the messages, in place of nothing happening. */

const SENTENCES = {
  0: "The server could not be reached. Your change may not have been saved: try again.",
  403: "You may not do that, or the page has been open too long. Reload it and try again.",
  404: "This is no longer there. Reload the page to see what is.",
  429: "Too many requests at once. Wait a moment and try again.",
};
const OTHERWISE = "The server had a problem and nothing was changed. Try again in a moment.";

function show(event) {
  const status = event.detail.xhr ? event.detail.xhr.status : 0;
  const message = document.createElement("div");
  message.className = "message message-error";
  message.dataset.requestError = "";
  const body = document.createElement("p");
  body.className = "message-body";
  body.textContent = SENTENCES[status] ?? OTHERWISE;
  message.append(body);
  clear();
  document.getElementById("messages").append(message);
}

function clear() {
  for (const old of document.querySelectorAll("[data-request-error]")) old.remove();
}

document.addEventListener("htmx:responseError", show);
document.addEventListener("htmx:sendError", show);
document.addEventListener("htmx:timeout", show);
document.addEventListener("htmx:afterOnLoad", (event) => {
  if (event.detail.successful) clear();
});
