/* Makes every [data-live] of the page like its copy in a fresh page (`exptrack:page`), no more of
   it than differs: what is typed, picked, open or in focus stays.

   The value of data-live names a part; a row with a box that picks a run is one by the run's id. Of
   a [data-live-list], whose value is what its rows are called, nothing moves: where the fresh one has others, a button says how many and shows them. An
   empty one is filled at once. */

const ROW_OF_RUN = "tr:has(> th > [name=run])";
const PARTS = `[data-live], ${ROW_OF_RUN}`;
const FIELDS = "input, select, textarea";
const TYPED = "input:not([type=hidden], [type=checkbox]), select, textarea";
const TAKEN_AWAY = ["title", "class"];

document.addEventListener("exptrack:page", ({ detail: { fresh } }) => {
  const parts = new Map([...fresh.querySelectorAll(PARTS)].map((part) => [keyOf(part), part]));
  for (const old of document.querySelectorAll(PARTS)) {
    const part = parts.get(keyOf(old));
    if (part) renew(old, part);
  }
  for (const list of document.querySelectorAll("[data-live-list]")) {
    const copy = fresh.getElementById(list.id);
    if (copy) offer(list, copy);
  }
});

document.addEventListener("click", ({ target }) => {
  const list = target.closest("[data-live-more]")?.closest("[data-live-list]");
  if (list) show(list);
});

function keyOf(item) {
  return item.dataset.live ?? item.dataset.metric ?? item.querySelector("[name=run]").value;
}

/* --- Parts --------------------------------------------------------------------------------- */

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

/* Whether two elements have as many children, of the same kinds. */
function isAlike(old, fresh) {
  const [one, other] = [[...old.childNodes], [...fresh.childNodes]];
  return old.nodeName === fresh.nodeName && old.id === fresh.id && one.length === other.length
    && one.every((child, i) => child.nodeType === other[i].nodeType);
}

function isInUse(element) {
  return element.contains(document.activeElement) || element.querySelector(TYPED) !== null;
}

/* --- Lists --------------------------------------------------------------------------------- */

function rowsOf(list) {
  return [...list.querySelectorAll(`tr[data-live], ${ROW_OF_RUN}, metric-chart`)].map(keyOf);
}

function offer(list, copy) {
  const here = new Set(rowsOf(list));
  const others = rowsOf(copy).filter((row) => !here.has(row)).length;
  if (others && !here.size) show(list);
  else if (others) say(list, `Show ${others} new ${list.dataset.liveList}${others === 1 ? "" : "s"}`);
  else list.querySelector("[data-live-more]")?.remove();
}

function say(list, words) {
  let more = list.querySelector("[data-live-more]");
  if (!more) {
    more = document.createElement("button");
    Object.assign(more, { type: "button", className: "button button-small live-more" });
    more.dataset.liveMore = "";
    list.prepend(more);
  }
  if (more.textContent !== words) more.textContent = words;
}

function show(list) {
  htmx.ajax("GET", location.pathname + location.search, { target: list });
}
