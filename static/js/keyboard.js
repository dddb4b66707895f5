/* Keys for those whose hands stay on them, on every page.

   An element says its own key by data-shortcut: a field is focused, anything else clicked. `j` and
   `k` go through the rows of [data-rows], `x` turns the box of the row one is in, `?` opens
   #shortcuts, where a box turns all of this off for good. No key is taken from who is typing. */

const OFF = "shortcuts-off";
const TYPING = "input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]";
const ROW_KEYS = { j: 1, k: -1 };

const help = () => document.getElementById("shortcuts");
const isOff = () => localStorage.getItem(OFF) === "1";

function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest(TYPING) || document.querySelector("dialog[open]") || isOff()) return;
  if (act(event.key)) event.preventDefault();
}

/* Whether the key did something. */
function act(key) {
  if (key === "?" && help()) return showHelp();
  if (key in ROW_KEYS) return step(ROW_KEYS[key]);
  const target = key === "x" ? box() : shortcut(key);
  if (!target) return false;
  if (target.matches(TYPING)) {
    target.focus();
    target.select?.();
  } else {
    target.click();
  }
  return true;
}

function shortcut(key) {
  const found = document.querySelectorAll(`[data-shortcut="${CSS.escape(key)}"]`);
  return [...found].find((element) => element.checkVisibility());
}

function currentRow() {
  return document.activeElement?.closest("[data-rows] tr");
}

function box() {
  return currentRow()?.querySelector("input[type=checkbox]");
}

function step(by) {
  const rows = [...document.querySelectorAll("[data-rows] tr")];
  if (!rows.length) return false;
  const from = rows.indexOf(currentRow());
  const next = from < 0 ? (by > 0 ? 0 : rows.length - 1) : from + by;
  rows[Math.min(Math.max(next, 0), rows.length - 1)].querySelector("a, button")?.focus();
  return true;
}

function showHelp() {
  help().querySelector("[data-shortcuts-on]").checked = !isOff();
  help().showModal();
  return true;
}

document.addEventListener("keydown", pressed);
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-show-shortcuts]")) showHelp();
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-shortcuts-on]")) {
    localStorage.setItem(OFF, event.target.checked ? "0" : "1");
  }
});
