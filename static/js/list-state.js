/* What is asked of a list while it still waits for an answer builds on what was asked last, not on
   what is shown: who sorts before the filter's answer is here gets both. A link or a form is taken
   for the change it makes to the address; the change is made to the address that was asked for.
   The list is what the form #filters replaces. */

const PLACES = ["cursor", "page"]; // of another list than the one now asked for

let asked = null; // the request under way: { xhr, query }

function isForList(detail) {
  const list = document.getElementById("filters")?.getAttribute("hx-target");
  return list && detail.target?.id === list.slice(1);
}

/* Parameters without a value are as good as absent. */
function queryOf(entries) {
  return new URLSearchParams([...entries].filter(([, value]) => value !== ""));
}

function isSame(one, other, name) {
  return one.getAll(name).join("\n") === other.getAll(name).join("\n");
}

/* The query asked for last, with what `sent` changes of the one that is shown, and with all that
   stands in the fields `own`. */
function merged(sent, own) {
  if (String(sent) === String(asked.query)) return sent;
  const shown = queryOf(new URLSearchParams(location.search));
  const query = queryOf(asked.query);
  for (const name of new Set([...own, ...shown.keys(), ...sent.keys()])) {
    if (isSame(shown, sent, name) && !own.includes(name)) continue;
    query.delete(name);
    for (const value of sent.getAll(name)) query.append(name, value);
  }
  for (const name of PLACES) query.delete(name);
  return query;
}

function fieldsOf(element) {
  if (!(element instanceof HTMLFormElement)) return [];
  return [...element.elements].filter((field) => field.type !== "hidden").map(({ name }) => name);
}

document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (!asked || detail.verb !== "get" || !isForList(detail)) return;
  const { pathname, searchParams } = new URL(detail.path, location);
  if (pathname !== location.pathname) return;
  const sent = queryOf([...searchParams, ...detail.formData]);
  detail.path = `${pathname}?${merged(sent, fieldsOf(detail.elt))}`;
  detail.parameters = {};
});

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.requestConfig.verb !== "get" || !isForList(detail)) return;
  const { searchParams } = new URL(detail.pathInfo.finalRequestPath, location);
  asked = { xhr: detail.xhr, query: queryOf(searchParams) };
});

/* One that is given up for a newer one still counts: the newer one builds on it. */
for (const type of ["htmx:afterOnLoad", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(type, ({ detail }) => {
    if (detail.xhr === asked?.xhr) asked = null;
  });
}

/* A list seen another way is another page, for which htmx does nothing. */
document.addEventListener(
  "click",
  ({ target }) => {
    const link = asked && target.closest("a.segment:not([hx-get])");
    if (!link || link.pathname !== location.pathname) return;
    link.search = merged(queryOf(new URLSearchParams(link.search)), []);
  },
  true,
);
