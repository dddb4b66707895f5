/* Keeps the menu of what to group by open while one chooses: each choice brings the table with its
   tools anew, and #group-by among them. What it held goes over into the new one, which is opened
   again and then fetches what can be chosen now, by what is being searched for. The focus, and
   how far the list was scrolled, stay. */

const MENU = "group-by";

let kept = null; // { focused: id, scrolled } of a menu that is on its way

const menu = () => document.getElementById(MENU);

document.addEventListener("htmx:oobBeforeSwap", ({ detail: { target, fragment } }) => {
  const old = target.querySelector(`#${MENU}:popover-open`);
  const fresh = old && fragment.querySelector(`#${MENU}`);
  if (!fresh) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  kept = { focused, scrolled: old.querySelector("ul")?.scrollTop ?? 0 };
  const find = old.querySelector("[name=find]")?.value;
  if (find) {
    const address = new URL(fresh.getAttribute("hx-get"), location);
    address.searchParams.set("find", find);
    fresh.setAttribute("hx-get", address.pathname + address.search);
  }
  fresh.replaceChildren(...old.childNodes);
});

document.addEventListener("htmx:afterSettle", ({ detail: { target } }) => {
  if (!kept) return;
  const isFresh = target.id === MENU;
  if (!isFresh && !menu().matches(":popover-open")) {
    const button = document.querySelector(`[popovertarget=${MENU}]`);
    button.focus(); // to which Escape returns
    button.click();
  }
  restore();
  if (isFresh) kept = null;
});

function restore() {
  const list = menu().querySelector("ul");
  if (list) list.scrollTop = kept.scrolled;
  const again = document.getElementById(kept.focused) ?? menu().querySelector("a, input");
  again?.focus({ preventScroll: true });
}
