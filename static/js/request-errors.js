/* A request of htmx's that was refused says so in the messages, in place of nothing happening. Who
   was signed out meanwhile keeps the page and what they typed: they sign in beside it, the page
   takes the new token for its forms, and they send it again. */

const SENTENCES = {
  0: "The server could not be reached. Your change may not have been saved: try again.",
  403: "You may not do that.",
  404: "This is no longer there. Reload the page to see what is.",
  429: "Too many requests at once. Wait a moment and try again.",
};
const OTHERWISE = "The server had a problem and nothing was changed. Try again in a moment.";
let awaitsSignIn = false;

async function refused(event) {
  const request = event.detail.xhr;
  const status = request ? request.status : 0;
  if (status === 401) {
    awaitsSignIn = true;
    show("You are signed out. ", signInLink(), " in another tab: what you typed stays here.");
  } else if (status === 403 && request.getResponseHeader("X-Form-Expired")) {
    await signedInAgain();
  } else {
    show(SENTENCES[status] ?? OTHERWISE);
  }
}

function show(...parts) {
  const message = document.createElement("div");
  message.className = "message message-error";
  message.dataset.requestError = "";
  const body = document.createElement("div");
  body.className = "message-body";
  body.append(...parts);
  message.append(body);
  clear();
  document.getElementById("messages").append(message);
}

function clear() {
  for (const old of document.querySelectorAll("[data-request-error]")) old.remove();
}

function signInLink() {
  const link = document.createElement("a");
  link.href = document.body.dataset.signInUrl;
  link.target = "_blank";
  link.textContent = "Sign in";
  return link;
}

/* Take the token of the new session, and say that the form may be sent again. */
async function signedInAgain() {
  const { user, tokenUrl } = document.body.dataset;
  const response = await fetch(tokenUrl, { redirect: "manual" }).catch(() => ({ ok: false }));
  if (!response.ok) return;
  const found = await response.json();
  document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": found.token }));
  for (const field of document.querySelectorAll("[name=csrfmiddlewaretoken]")) {
    field.value = found.token;
  }
  awaitsSignIn = false;
  const who = found.user === user ? "again" : `as ${found.user}`;
  show(`You are signed in ${who}. Send it once more.`);
}

document.addEventListener("htmx:responseError", refused);
document.addEventListener("htmx:sendError", refused);
document.addEventListener("htmx:timeout", refused);
document.addEventListener("htmx:afterOnLoad", (event) => {
  if (event.detail.successful) clear();
});
document.addEventListener("visibilitychange", () => {
  if (awaitsSignIn && !document.hidden) signedInAgain();
});
window.addEventListener("focus", () => {
  if (awaitsSignIn) signedInAgain();
});
