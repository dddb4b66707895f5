/* Makes every [data-live] of the page like its copy in a fresh page (`exptrack:page`), no more of
   it than differs: what is typed, picked, open or in focus stays.

   The value of data-live names a part; a row with a box that picks a run is one by the run's id. Of
   a [data-live-list] nothing moves: where the fresh one has rows, charts or lines that it has not, a
   button says how many of what, and shows them. An empty one is filled at once; one that stands for
   the whole page (data-live-list="page") by the page that has come to be. */

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
  return item.dataset.live ?? item.querySelector("[name=run]").value;
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

/* What a list holds, each as what it is and which: "run 0192…", "metric loss". */
function itemsOf(list) {
  return [
    ...[...list.querySelectorAll("tr[data-live]")].map(keyOf),
    ...[...list.querySelectorAll(ROW_OF_RUN)].map((row) => `run ${keyOf(row)}`),
    ...[...list.querySelectorAll("chart-board")].flatMap(linesOf),
    ...[...list.querySelectorAll("metric-chart")].map((chart) => `metric ${chart.dataset.metric}`),
  ];
}

/* The lines that charts draw; of a group's also the runs that go on, by which it grows. */
function linesOf(board) {
  const kind = board.hasAttribute("data-groups") ? "group" : "run";
  return JSON.parse(board.dataset.runs).flatMap(({ id, open = [] }) => {
    return [`${kind} ${id}`, ...open.map((run) => `run ${run}`)];
  });
}

function offer(list, copy) {
  const here = new Set(itemsOf(list));
  const others = itemsOf(copy).filter((item) => !here.has(item));
  if (!others.length) list.querySelector(".live-more")?.remove();
  else if (!here.size) show(list);
  else say(list, `Show ${counted(others)}`);
}

/* `2 new runs and 1 new metric` */
function counted(items) {
  const kinds = Map.groupBy(items, (item) => item.split(" ")[0]);
  return [...kinds]
    .map(([kind, { length }]) => `${length} new ${kind}${length === 1 ? "" : "s"}`)
    .join(" and ");
}

function say(list, words) {
  let more = list.querySelector("[data-live-more]");
  if (!more) {
    const place = document.createElement("div");
    Object.assign(place, { className: "live-more", role: "status" });
    list.prepend(place);
    more = document.createElement("button");
    Object.assign(more, { type: "button", className: "button button-primary button-small" });
    more.dataset.liveMore = "";
    place.append(more);
  }
  if (more.textContent !== words) more.textContent = words;
}

function show(list) {
  if (list.dataset.liveList === "page") return location.reload();
  htmx.ajax("GET", location.pathname + location.search, { target: list });
}
