/* Makes every [data-live] of the page like its copy in a fresh page (`exptrack:page`), no more of
   it than differs: what is typed, picked, open or in focus stays.

   The value of data-live names a part; of one that the page does not have, such as a run that is
   new, [data-live-more] tells how many there are and shows them when it is pressed. */

const FIELDS = "input, select, textarea";
const TYPED = "input:not([type=hidden], [type=checkbox]), select, textarea";
const TAKEN_AWAY = ["class", "title"];

document.addEventListener("exptrack:page", ({ detail: { fresh } }) => {
  const parts = new Map(live(fresh));
  for (const [name, old] of live(document)) {
    if (parts.has(name)) renew(old, parts.get(name));
    parts.delete(name);
  }
  const more = document.querySelector("[data-live-more]");
  if (!more) return;
  const count = [...parts.values()].filter((part) => part.matches("tr")).length;
  more.hidden = !count;
  more.textContent = `Show ${count} new run${count === 1 ? "" : "s"}`;
});

document.addEventListener("click", ({ target }) => {
  const more = target.closest("[data-live-more]");
  if (!more) return;
  more.hidden = true;
  htmx.ajax("GET", location.pathname + location.search, { target: more.dataset.liveMore });
});

function live(page) {
  return [...page.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part]);
}

function renew(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) old.nodeValue = fresh.nodeValue;
  else if (isAlike(old, fresh)) renewWithin(old, fresh);
  else if (!isInUse(old)) {
    const copy = document.importNode(fresh, true);
    old.replaceWith(copy);
    htmx.process(copy);
  }
}

function renewWithin(old, fresh) {
  if (old.matches(FIELDS)) return;
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const name of TAKEN_AWAY) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  const children = [...fresh.childNodes];
  [...old.childNodes].forEach((child, i) => renew(child, children[i]));
}

/* Whether two elements differ in words and attributes only, and in what their children hold. */
function isAlike(old, fresh) {
  const [one, other] = [[...old.childNodes], [...fresh.childNodes]];
  return old.nodeName === fresh.nodeName && old.id === fresh.id && one.length === other.length
    && one.every((child, i) => child.nodeType === other[i].nodeType);
}

function isInUse(element) {
  return element.contains(document.activeElement) || element.querySelector(TYPED) !== null;
}
