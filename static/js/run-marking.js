/* Whatever names a run beside its charts, [data-marks="its id"], marks its line in all of them while
   the pointer is over it or the keyboard's focus in it. Told as `run-marked` on the document, with
   detail { run }, null for none. */

let marked = null;

function mark(run) {
  if (run === marked) return;
  marked = run;
  document.dispatchEvent(new CustomEvent("run-marked", { detail: { run } }));
}

function namedAt(place) {
  return place instanceof Element ? place.closest("[data-marks]")?.dataset.marks ?? null : null;
}

document.addEventListener("pointerover", ({ target, pointerType }) => {
  if (pointerType !== "touch") mark(namedAt(target));
});
document.documentElement.addEventListener("pointerleave", () => mark(null));
document.addEventListener("focusin", ({ target }) => {
  if (target.matches(":focus-visible")) mark(namedAt(target));
});
document.addEventListener("focusout", ({ relatedTarget }) => mark(namedAt(relatedTarget)));
