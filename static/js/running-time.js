/* Lets every [data-seconds], how long a run has been running, go on while a page stays open. It is
   counted from when the page had it, so the reader's clock may be wrong. The words match the
   server's. */

const EVERY_MS = 1000;
const UNITS = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];
const had = new WeakMap(); // element: when it would have been nought

function words(seconds) {
  const first = UNITS.findIndex(([size]) => seconds >= size);
  const parts = [];
  let rest = Math.floor(seconds);
  for (const [size, unit] of UNITS.slice(first).slice(0, 2)) {
    if (rest >= size) parts.push(`${Math.floor(rest / size)} ${unit}`);
    rest %= size;
  }
  return parts.join(" ");
}

function refresh() {
  const now = performance.now();
  for (const element of document.querySelectorAll("[data-seconds]")) {
    if (!had.has(element)) had.set(element, now - Number(element.dataset.seconds) * 1000);
    const seconds = (now - had.get(element)) / 1000;
    if (seconds >= 1 && !document.hidden) element.textContent = words(seconds);
  }
}

setInterval(refresh, EVERY_MS);
document.addEventListener("visibilitychange", refresh);
refresh();
