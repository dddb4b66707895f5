/* <live-updates data-url data-since data-look-every data-calm>: keeps a page up to date with the
   runs it shows, and says in a word whether it does.

   Listens to the stream at data-url. Where that is refused or breaks it asks every few seconds
   instead, and goes back to the stream when it can; while the tab is hidden it does neither. New
   points are told to the page as `exptrack:points`, an event of the document whose detail is
   {run, metric, count}, with {after, steps, times, values} where they came along: the points from
   position `after` on. What a run's state changes on the page is fetched from the page's own
   address, and looked for there every data-look-every seconds anyway, also without a data-url:
   every [data-live] is made like its fresh copy, no more of it than differs. */

const WORDS = {
  live: "Live",
  reconnecting: "Reconnecting …",
  paused: "Paused",
  "signed-out": "Signed out",
  forbidden: "No longer shared with you",
};
const FIRST_POLL_MS = [500, 2_500];
const POLL_MS = 2_000;
const LONGEST_POLL_MS = 15_000;
const STREAM_AGAIN_MS = [20_000, 40_000];
const WORKED_AFTER_MS = 5_000;
// What is shown is fetched again at once, then no sooner than this or a multiple of what it took:
// of numbers that grow, of a run that has begun or ended, and where only curves grow ([data-calm]).
const REFRESH = { least: 900, perCost: 10 };
const URGENT_REFRESH = { least: 200, perCost: 2 };
const CALM_REFRESH = { least: 10_000, perCost: 10 };
const REFRESH_ANYWAY_SECONDS = 30;

let saidLast = null; // by the one before, where a fragment has brought another

class LiveUpdates extends HTMLElement {
  connectedCallback() {
    this.since ??= this.dataset.since;
    this.streamAt = 0;
    this.statuses ??= new Map();
    document.addEventListener("visibilitychange", this);
    const every = 1_000 * (this.dataset.lookEvery ?? REFRESH_ANYWAY_SECONDS);
    this.ticking = setInterval(() => this.says === "live" && this.refresh(), every);
    if (saidLast) this.say(saidLast);
    this.handleEvent();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this);
    clearInterval(this.ticking);
    this.stop();
  }

  /* The tab was shown or hidden. */
  handleEvent() {
    if (this.isOver) return;
    this.stop();
    if (document.hidden) this.say("paused");
    else if (this.dataset.url) this.listen();
    else this.say("live");
  }

  stop() {
    this.source?.close();
    this.source = null;
    this.asking?.abort();
    clearTimeout(this.waiting);
  }

  say(state) {
    this.says = this.dataset.state = saidLast = state;
    const word = this.querySelector("[role=status]");
    if (word.textContent !== (WORDS[state] ?? "")) word.textContent = WORDS[state] ?? "";
    this.querySelector("[data-sign-in]").hidden = state !== "signed-out";
  }

  get address() {
    const url = new URL(this.dataset.url, location.href);
    if (this.since) url.searchParams.set("since", this.since);
    return url;
  }

  /* --- The stream -------------------------------------------------------------------------- */

  listen() {
    let openedAt = Infinity;
    this.source = new EventSource(this.address);
    this.source.addEventListener("open", () => {
      openedAt = performance.now();
      this.say("live");
    });
    for (const kind of ["run", "points", "end"]) {
      this.source.addEventListener(kind, (event) => {
        if (kind !== "end") this.since = event.lastEventId;
        this.take(kind, JSON.parse(event.data));
      });
    }
    this.source.addEventListener("error", () => {
      this.source?.close();
      const worked = performance.now() - openedAt > WORKED_AFTER_MS;
      this.streamAt = worked ? 0 : performance.now() + between(STREAM_AGAIN_MS);
      if (openedAt !== Infinity) this.say("reconnecting");
      this.ask(between(FIRST_POLL_MS), POLL_MS);
    });
  }

  /* --- Asking ------------------------------------------------------------------------------ */

  /* Ask after a while; `pause` is how long to wait before the next time, if nothing is new. */
  ask(after, pause) {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.poll(pause), after);
  }

  async poll(pause) {
    const asking = (this.asking = new AbortController());
    let response = null;
    try {
      response = await fetch(this.address, { redirect: "manual", signal: asking.signal });
    } catch {
      if (asking.signal.aborted) return;
    }
    if (response?.type === "opaqueredirect") this.end("signed-out");
    else if (response?.status === 404) this.end("forbidden");
    else if (response?.ok) await this.heard(response, pause);
    else {
      this.say("reconnecting");
      this.ask(between([pause / 2, pause]), Math.min(pause * 2, LONGEST_POLL_MS));
    }
  }

  async heard(response, pause) {
    if (response.status === 200) {
      const { since, events } = await response.json();
      this.since = since;
      for (const { event, data } of events) this.take(event, data);
    }
    if (this.isOver || document.hidden) return;
    this.say("live");
    if (performance.now() >= this.streamAt) this.listen();
    else if (response.status === 200) this.ask(POLL_MS, POLL_MS);
    else this.ask(between([pause * 0.8, pause * 1.2]), Math.min(pause * 1.5, LONGEST_POLL_MS));
  }

  /* --- What is told ------------------------------------------------------------------------ */

  take(kind, data) {
    if (kind === "end") this.end(data.reason);
    else if (kind === "run") {
      this.isUrgent ||= this.statuses.get(data.run) !== data.status;
      this.statuses.set(data.run, data.status);
      this.refresh();
    }
    else for (const series of data.series) {
      const detail = { run: data.run, ...series };
      document.dispatchEvent(new CustomEvent("exptrack:points", { detail }));
    }
  }

  end(reason) {
    this.isOver = true;
    this.stop();
    this.say(reason);
    if (reason === "ended") this.refresh();
  }

  /* Fetch what is shown, at once or when it may be fetched again. */
  async refresh() {
    this.isStale = true;
    if (this.isRefreshing) return;
    this.isRefreshing = true;
    while (this.isStale && this.isConnected && !document.hidden) {
      this.isStale = this.isUrgent = false;
      const begun = performance.now();
      await this.renew().catch((error) => console.warn("The page could not be renewed.", error));
      const renewed = performance.now();
      while (performance.now() - renewed < this.pauseFor(renewed - begun)) await moments(100);
    }
    this.isRefreshing = false;
  }

  pauseFor(cost) {
    const usual = this.hasAttribute("data-calm") ? CALM_REFRESH : REFRESH;
    const { least, perCost } = this.isUrgent ? URGENT_REFRESH : usual;
    return Math.max(least, cost * perCost);
  }

  async renew() {
    const address = new URL(location.href);
    // Which columns a table has by itself depends on its runs; those that are shown stay.
    const columns = document.querySelector("[data-live-columns]")?.dataset.liveColumns;
    if (columns) address.searchParams.set("columns", columns);
    const response = await fetch(address, { redirect: "manual" });
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    document.dispatchEvent(new CustomEvent("exptrack:page", { detail: { fresh } }));
  }
}

function moments(ms) {
  return new Promise((then) => setTimeout(then, ms));
}

function between([least, greatest]) {
  return least + Math.random() * (greatest - least);
}

customElements.define("live-updates", LiveUpdates);
