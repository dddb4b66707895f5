/* Keeps every <time data-ago> true while a page stays open. The words match the server's. */

const EVERY_MS = 30_000;
const STEPS = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86_400, 3600, "h"],
  [30 * 86_400, 86_400, "d"],
];

function words(seconds) {
  if (seconds < 10) return "just now";
  for (const [below, size, unit] of STEPS) {
    if (seconds < below) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return null;
}

function refresh() {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const said = words((Date.now() - Date.parse(element.dateTime)) / 1000);
    if (said && element.textContent !== said) element.textContent = said;
  }
}

setInterval(refresh, EVERY_MS);
document.addEventListener("visibilitychange", refresh);
