/* Numbers are rounded for reading, and exact when they are copied: out of a table, or one by itself.
   The exact one stands in the title of its cell, output or data, alone or in front of more words. Cells are
   parted by tabs, so that a spreadsheet takes them. */

const EXACT = /^(?:Mean |Last value: )?(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?=$| of )/;

document.addEventListener("copy", (event) => {
  const selection = getSelection();
  const text = selection.isCollapsed ? null : exactly(selection);
  if (text === null) return;
  event.clipboardData.setData("text/plain", text);
  event.preventDefault();
});

/* What to copy; null where the browser knows best. */
function exactly(selection) {
  const range = selection.getRangeAt(0);
  const { commonAncestorContainer: common } = range;
  const element = common.nodeType === Node.ELEMENT_NODE ? common : common.parentElement;
  const alone = element.closest("td, th, output, data");
  if (alone) return isWhole(selection, alone) ? exact(alone) : null;
  const rows = [...(element.closest("table")?.rows ?? [])].map((row) =>
    [...row.cells].filter((cell) => reaches(range, cell)));
  const lines = rows.filter((cells) => cells.length).map((cells) => cells.map(words).join("\t"));
  return lines.length ? lines.join("\n") : null;
}

function isWhole(selection, cell) {
  return selection.toString().trim() === cell.innerText.trim();
}

function exact(cell) {
  return EXACT.exec(cell.title)?.[1] ?? null;
}

function words(cell) {
  return exact(cell) ?? cell.innerText.trim().replace(/\s+/g, " ");
}

/* Whether a range takes something of a cell; to end where the cell begins takes nothing. */
function reaches(range, cell) {
  const inside = document.createRange();
  inside.selectNodeContents(cell);
  return range.compareBoundaryPoints(Range.START_TO_END, inside) > 0
    && range.compareBoundaryPoints(Range.END_TO_START, inside) < 0;
}
