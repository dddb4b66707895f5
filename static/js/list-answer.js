/* What an answer must not take away: the focus, and that one hears of it.

   Where what had the focus is gone with what was replaced (the last page has no Next), its neighbour
   gets it, else the list, else the page's content. How much a list now holds, [data-summary] or
   that there is nothing, is told in #list-said: a region that comes with the answer is not heard.
   The list is what the form #filters replaces. */

let lost = null; // { like, at } of what has the focus while an answer comes in

function list() {
  const target = document.getElementById("filters")?.getAttribute("hx-target");
  return target ? document.querySelector(target) : null;
}

/* Buttons of the same kind: of each run of a comparison there is one to take it away. */
function alike(name) {
  return name ? [...document.querySelectorAll(`button[name="${CSS.escape(name)}"]`)] : [];
}

document.addEventListener("htmx:beforeSwap", () => {
  const element = document.activeElement;
  const like = element.getAttribute("name");
  if (element !== document.body) lost = { like, at: alike(like).indexOf(element) };
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  requestAnimationFrame(() => {
    if (lost && isNowhere(document.activeElement)) refocus(lost);
    lost = null;
  });
  const shown = list();
  if (shown && detail.successful && detail.target.id === shown.id) tell(shown);
});

function isNowhere(element) {
  return element === document.body || !element.checkVisibility();
}

function refocus({ like, at }) {
  const neighbour = at < 0 ? null : alike(like).slice(0, at + 1).at(-1);
  const within = list()?.querySelector("[tabindex='0'], a, button");
  (neighbour ?? within ?? document.getElementById("main")).focus({ preventScroll: true });
}

function tell(shown) {
  const found = shown.querySelector("[data-summary], .empty-title");
  document.getElementById("list-said").textContent = found?.textContent ?? "";
}
