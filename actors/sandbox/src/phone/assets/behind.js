// The messages behind a phone's screen: who said what, when, and how long the other side took.

import { screenSize, smsSize } from "./alphabet.js";
import { element } from "./sandbox.js";
import { fileOf, savedTest } from "./saved_test.js";

/** A wait that people begin to notice, in milliseconds. */
const SLOW = 2000;
/** How many events are kept on the page. */
const MOST = 200;

const TITLES = {
  dialled: () => ["person", "Person dials"],
  answered: () => ["person", "Person answers"],
  hung_up: () => ["person", "Person hangs up"],
  screen: ({ open }) => ["service", open ? "Service asks" : "Service ends the session"],
  timed_out: () => ["network", "The network ends the session: nothing was said for too long"],
  failed: () => ["failed", "No answer"],
  sms_received: ({ provider, other }) => ["service", `SMS by ${provider}${other ? `, from ${other}` : ""}`],
  sms_sent: ({ provider, other }) => ["person", `SMS by ${provider}${other ? `, to ${other}` : ""}`],
};

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false });

const seconds = (ms) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`);

function facts({ what, text, waited_ms: waited, asked }) {
  const said = [];
  if (what === "screen") said.push(screenSize(text).text);
  if (what.startsWith("sms_")) said.push(smsSize(text));
  if (what === "screen" && !asked) said.push("nobody waited for it");
  const line = element("span", "facts", said.join(" · "));
  if (waited !== null) {
    line.prepend(element("span", waited >= SLOW ? "slow" : "", `after ${seconds(waited)}`), said.length ? " · " : "");
  }
  return line;
}

function row(entry) {
  const [side, title] = TITLES[entry.what](entry);
  const made = element("li", side);
  const time = element("time", "", clock.format(entry.at));
  time.dateTime = new Date(entry.at).toISOString();
  made.append(element("span", "who", title), time);
  if (entry.text !== undefined) made.append(element("span", "what", entry.text || "(nothing)"));
  const line = facts(entry);
  if (line.textContent) made.append(line);
  return made;
}

/** The list of a phone's events. */
export class Behind {
  /** `numbers` answers the numbers of all phones, this one's first. */
  constructor(article, numbers) {
    this.list = article.querySelector(".trail");
    this.entries = [];
    this.say = article.querySelector(".save-say");
    const menu = article.querySelector(".menu");
    article.querySelector(".forget").addEventListener("click", () => this.clear());
    article.querySelector(".save").addEventListener("submit", (event) => {
      event.preventDefault();
      this.save(menu.value.trim() || "menu.yaml", numbers());
    });
    this.clear();
  }

  clear() {
    this.entries = [];
    this.say.textContent = "";
    this.list.replaceChildren(element("li", "none", "Every message will be here, with its time and how long it took."));
  }

  add(entry) {
    if (!TITLES[entry.what]) return;
    if (this.entries.length === 0) this.list.replaceChildren();
    this.entries.push(entry);
    this.list.append(row(entry));
    if (this.entries.length > MOST) {
      this.entries.shift();
      this.list.firstChild.remove();
    }
    this.list.scrollTop = this.list.scrollHeight;
  }

  save(menu, numbers) {
    if (this.entries.length === 0) {
      this.say.textContent = "Nothing to save yet: dial first.";
      return;
    }
    const file = fileOf(menu);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([savedTest(this.entries, numbers, menu)], { type: "application/yaml" }));
    link.download = file;
    link.click();
    URL.revokeObjectURL(link.href);
    this.say.textContent = `Saved as ${file}, numbers replaced. Put it beside ${menu}.`;
  }
}
