/* <copy-button data-text="…">, <copy-button data-source="id"> or <copy-button data-url="…">: copies
   that text, says so in its label and to screen readers. Holds a <button> with a [data-label] and a
   [role=status]. */

const SAID_FOR_MS = 2000;

class CopyButton extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", this);
  }

  disconnectedCallback() {
    this.removeEventListener("click", this);
    clearTimeout(this.timer);
  }

  handleEvent(event) {
    if (event.target.closest("button")) this.copy();
  }

  async copy() {
    const { source, url, text } = this.dataset;
    try {
      const found = url ? await fetched(url) : source && document.getElementById(source).textContent;
      this.say((await copied(found ?? text)) ? "Copied" : "Press Ctrl+C");
    } catch {
      this.say("Not fetched");
    }
  }

  say(word) {
    const label = this.querySelector("[data-label]");
    this.word ??= label.textContent;
    label.textContent = word;
    this.querySelector("[role=status]").textContent = word;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      label.textContent = this.word;
      this.querySelector("[role=status]").textContent = "";
    }, SAID_FOR_MS);
  }
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok || response.redirected) throw new Error(response.status);
  return response.text();
}

/* Whether the text went to the clipboard. Over plain HTTP there is no navigator.clipboard. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

customElements.define("copy-button", CopyButton);
