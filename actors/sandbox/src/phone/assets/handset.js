// One phone: what is typed on it, what its screen shows.

import { screenSize } from "./alphabet.js";
import { Behind } from "./behind.js";
import { Messages } from "./messages.js";
import { element, post } from "./sandbox.js";

const KEYS = [["1", ""], ["2", "abc"], ["3", "def"], ["4", "ghi"], ["5", "jkl"], ["6", "mno"], ["7", "pqrs"], ["8", "tuv"], ["9", "wxyz"], ["*", ""], ["0", ""], ["#", ""]];
const SPOKEN = { "*": "star", "#": "hash" };
/** What the quiz of the default settings is dialled by. */
const FIRST_CODE = "*120*663*79#";
const IDLE = "Dial a code, like *120*663*79#, and press Call.";

/** Whether this is a number that a phone can have: 3 to 15 digits. */
export const isNumber = (text) => /^\d{3,15}$/.test(text);

/** A phone on the page. */
export class Handset {
  /** `page`: `providers`, `numbers(first)`, `renamed()`, `removed(handset)`. */
  constructor(template, number, page) {
    this.article = template.content.firstElementChild.cloneNode(true);
    const find = (selector) => this.article.querySelector(selector);
    this.page = page;
    this.number = number;
    [this.screen, this.typed, this.note, this.state, this.count, this.unread] =
      [".screen", ".typed", ".note", ".state", ".count", ".unread"].map(find);
    [this.sessionView, this.messagesView, this.callKey] = [".session", ".messages", ".call"].map(find);
    [this.toSession, this.toMessages] = [".view-session", ".view-messages"].map(find);
    this.messages = new Messages(this.article, page.providers);
    this.behind = new Behind(this.article, () => page.numbers(this));
    this.lastCode = FIRST_CODE;
    this.listen(find);
    this.begin();
  }

  listen(find) {
    const keys = find(".keys");
    for (const [key, letters] of KEYS) {
      const button = element("button", "", key);
      button.type = "button";
      if (SPOKEN[key]) button.setAttribute("aria-label", SPOKEN[key]);
      if (letters) {
        const small = element("small", "", letters);
        small.setAttribute("aria-hidden", "true");
        button.append(small);
      }
      button.addEventListener("click", () => this.type(key));
      keys.append(button);
    }
    find(".typing").addEventListener("submit", (event) => event.preventDefault());
    find(".compose").addEventListener("submit", (event) => event.preventDefault());
    this.callKey.addEventListener("click", () => this.call());
    find(".hang").addEventListener("click", () => this.hangUp());
    find(".erase").addEventListener("click", () => this.erase());
    find(".remove").addEventListener("click", () => this.page.removed(this));
    this.toSession.addEventListener("click", () => this.show("session"));
    this.toMessages.addEventListener("click", () => this.show("messages"));
    const number = find(".number");
    number.addEventListener("change", () => this.rename(number));
    this.article.querySelector(".device").addEventListener("keydown", (event) => this.pressed(event));
  }

  /** A phone as it is before anything has happened on it. */
  begin() {
    this.known = 0;
    this.unreadCount = 0;
    this.view = "session";
    this.setSession(false);
    this.article.querySelector(".number").value = this.number;
    this.article.setAttribute("aria-label", `Phone ${this.number}`);
    this.article.querySelector(".trail").setAttribute("aria-label", `Messages of ${this.number}`);
    this.article.querySelector(".remove").setAttribute("aria-label", `Remove phone ${this.number}`);
    this.behind.clear();
    this.messages.clear();
    this.idle();
    this.show("session");
  }

  idle() {
    this.screen.textContent = IDLE;
    this.screen.classList.add("idle");
    this.count.classList.remove("over");
    this.count.style.setProperty("--full", "0");
    this.count.lastElementChild.textContent = "";
  }

  rename(input) {
    const number = input.value.trim().replace(/^\+/, "");
    const taken = number !== this.number && this.page.numbers(this).includes(number);
    const right = isNumber(number) && !taken;
    input.setAttribute("aria-invalid", String(!right));
    if (!right) {
      this.note.textContent = taken ? "Another phone has this number." : "A number has 3 to 15 digits.";
      return;
    }
    this.note.textContent = "";
    if (number === this.number) return;
    this.number = number;
    this.begin();
    this.page.renamed();
  }

  show(view) {
    this.view = view;
    const messages = view === "messages";
    this.sessionView.hidden = messages;
    this.messagesView.hidden = !messages;
    this.toSession.setAttribute("aria-pressed", String(!messages));
    this.toMessages.setAttribute("aria-pressed", String(messages));
    if (messages) this.unreadCount = 0;
    this.label();
  }

  /** Words that follow from the state. */
  label() {
    const open = this.article.classList.contains("open");
    const waiting = this.article.classList.contains("waiting");
    this.state.textContent = waiting ? "waiting…" : open ? "in session" : "no session";
    this.callKey.textContent = this.view === "messages" || open ? "Send" : "Call";
    this.typed.placeholder = open ? "answer" : this.lastCode;
    this.unread.textContent = this.unreadCount ? `(${this.unreadCount} new)` : "";
  }

  setSession(open) {
    this.article.classList.toggle("open", open);
    this.label();
  }

  /** Text, digits and Enter work wherever the focus is on the phone; Escape hangs up. */
  pressed(event) {
    const inField = event.target.matches("input, textarea, select");
    if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") {
      event.preventDefault();
      this.hangUp();
    } else if (event.key === "Enter" && (event.target === this.typed || (event.target === this.messages.text && !event.shiftKey))) {
      event.preventDefault();
      this.call();
    } else if (!inField && /^[0-9*#]$/.test(event.key)) {
      event.preventDefault();
      this.type(event.key);
    } else if (!inField && event.key === "Backspace") {
      event.preventDefault();
      this.erase();
    }
  }

  type(key) {
    if (this.view === "messages") this.messages.type(key);
    else if (this.typed.value.length < this.typed.maxLength) this.typed.value += key;
  }

  erase() {
    if (this.view === "messages") this.messages.erase();
    else this.typed.value = [...this.typed.value].slice(0, -1).join("");
  }

  /** Sends the SMS, answers in the session, or dials: the code typed, else the one dialled last. */
  async call() {
    if (this.view === "messages") {
      await this.during(() => this.messages.send(this.number));
      return;
    }
    const text = this.typed.value;
    if (this.article.classList.contains("open")) {
      await this.during(() => post("handset/answer", { msisdn: this.number, text }));
    } else {
      const code = text.trim() || this.lastCode;
      this.lastCode = code.startsWith("*") ? code : this.lastCode;
      await this.during(() => post("handset/dial", { msisdn: this.number, code }));
    }
  }

  async hangUp() {
    this.typed.value = "";
    if (!this.article.classList.contains("open")) {
      this.note.textContent = "";
      this.idle();
      return;
    }
    await this.during(() => post("handset/hang_up", { msisdn: this.number }), true);
  }

  /** Does something that the sandbox answers; what it refuses is said on the screen. */
  async during(work, evenIfWaiting = false) {
    if (this.article.classList.contains("waiting") && !evenIfWaiting) return;
    this.article.classList.add("waiting");
    this.note.textContent = "";
    this.label();
    try {
      await work();
      this.typed.value = "";
    } catch (refused) {
      this.note.textContent = refused.message;
    } finally {
      this.article.classList.remove("waiting");
      this.label();
    }
  }

  /** Something happened on this phone. */
  heard(entry) {
    if (entry.n <= this.known) return;
    this.known = entry.n;
    this.behind.add(entry);
    if (entry.what === "screen") this.display(entry);
    if (entry.what === "hung_up") this.ended("You hung up.");
    if (entry.what === "timed_out") this.ended("The network ended the session: nothing was said for too long.");
    if (entry.what === "sms_received" || entry.what === "sms_sent") this.messages.add(entry);
    if (entry.what === "sms_received" && this.view !== "messages") this.unreadCount += 1;
    this.label();
  }

  display({ text, open }) {
    this.screen.classList.remove("idle");
    this.screen.textContent = text;
    this.screen.scrollTop = 0;
    const size = screenSize(text);
    this.count.classList.toggle("over", size.over);
    this.count.style.setProperty("--full", String(size.full));
    this.count.lastElementChild.textContent = size.over ? `${size.text}: too long` : size.text;
    this.setSession(open);
  }

  ended(why) {
    this.idle();
    this.screen.textContent = why;
    this.setSession(false);
  }
}
