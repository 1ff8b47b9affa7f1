// A phone's SMS: those it got and sent, and a form for the next.

import { smsSize } from "./alphabet.js";
import { element, post } from "./sandbox.js";

/** How many SMS are kept on the page. */
const MOST = 100;

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hour12: false });

/** The SMS of a phone. */
export class Messages {
  constructor(article, providers) {
    const find = (selector) => article.querySelector(selector);
    [this.list, this.to, this.by, this.text] = [".inbox", ".to", ".by", ".text"].map(find);
    const count = find(".text-count");
    for (const { name } of providers.filter((provider) => provider.inbound)) {
      this.by.append(new Option(name, name));
    }
    this.counted = () => (count.textContent = smsSize(this.text.value));
    this.text.addEventListener("input", this.counted);
    this.counted();
    this.clear();
  }

  clear() {
    this.list.replaceChildren(element("li", "none", "No SMS yet."));
  }

  add({ what, at, other, provider, text }) {
    this.list.querySelector(".none")?.remove();
    const own = what === "sms_sent";
    const made = element("li", own ? "own-sms" : "", text);
    const who = own ? `to ${other || provider}` : `from ${other || provider}`;
    made.prepend(element("small", "", `${who} · ${clock.format(at)}`));
    this.list.append(made);
    if (this.list.children.length > MOST) this.list.firstChild.remove();
    this.list.scrollTop = this.list.scrollHeight;
  }

  type(character) {
    this.text.value += character;
    this.counted();
  }

  erase() {
    this.text.value = [...this.text.value].slice(0, -1).join("");
    this.counted();
  }

  /** Sends what is written; it stays in the form if it is refused. */
  async send(number) {
    const [text, provider, to] = [this.text.value, this.by.value, this.to.value.trim()];
    await post(`inbound/${encodeURIComponent(provider)}`, { from: number, to, text });
    this.text.value = "";
    this.counted();
  }
}
