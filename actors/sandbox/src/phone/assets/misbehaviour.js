// The switches that make a provider misbehave: a few that show much, and every rule there is.

import { element, get, put } from "./sandbox.js";

const BOTH = ["truteq", "smsc"];
/** What can be switched on with one press; `only` names the providers that know it. */
const SWITCHES = [
  { name: "Answers take 3 s", rules: { delay: "3s" } },
  { name: "Refuses every second SMS", rules: { refuse_every: 2 } },
  { name: "Hangs up on every third SMS", rules: { drop_every: 3 } },
  { name: "Sends no receipts", rules: { receipts: "none" } },
  { name: "Sends receipts twice", rules: { receipts: "twice" } },
  { name: "Says a new session twice", rules: { duplicate_new: true }, only: ["truteq"] },
  { name: "Sends frames nobody can read", rules: { malformed: true }, only: ["truteq"] },
  { name: "Ignores link checks", rules: { ignore_link_checks: true }, only: BOTH },
  { name: "Refuses logins", rules: { refuse_login: true }, only: ["truteq"] },
  { name: "Answers nothing more", rules: { smpp: { half_open: true } }, only: ["smsc"] },
  { name: "Answers out of order", rules: { smpp: { out_of_order: 3 } }, only: ["smsc"] },
  { name: "Receipts come first", rules: { smpp: { receipt_first: true } }, only: ["smsc"] },
];
/** Rules that not every provider knows. */
const ONLY = { duplicate_new: ["truteq"], refuse_login: ["truteq"], malformed: ["truteq"], ignore_link_checks: BOTH, drop_after: BOTH, smpp: ["smsc"], drop_now: [] };
const IDS = ["decimal", "hex", "upper_hex", "padded", "empty"];
const CHOICES = { receipts: ["once", "none", "twice"], drop_when: ["recorded", "before"], answer_ids: IDS, receipt_ids: IDS, receipt_form: ["both", "text", "tlvs"] };

const applies = (only, provider) => !only || only.includes(provider);

/** Whether `rules` say all that `wanted` says. */
const says = (rules, wanted) => Object.entries(wanted).every(([key, value]) => (typeof value === "object" ? says(rules[key] ?? {}, value) : rules[key] === value));

/** `rules` with those of `wanted` as `from` has them. */
function changed(rules, wanted, from) {
  const entries = Object.entries(wanted).map(([key, value]) =>
    [key, typeof value === "object" ? { ...rules[key], ...changed(rules[key], value, from[key]) } : from[key]]);
  return { ...rules, ...Object.fromEntries(entries) };
}

/** The card about misbehaviour. */
export class Misbehaviour {
  constructor(providers) {
    const find = (id) => document.getElementById(id);
    [this.select, this.switches, this.form, this.say, this.drop] = ["provider", "switches", "rules-form", "rules-say", "drop"].map(find);
    this.rules = {};
    for (const { name, misbehaves } of providers) this.select.append(new Option(this.optionText(name, misbehaves), name));
    this.select.addEventListener("change", () => this.load());
    find("behave").addEventListener("click", () => this.change({}));
    this.drop.addEventListener("click", () => this.change({ ...this.rules, drop_now: true }, "The connections are dropped."));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", () => this.change(this.read()));
    this.load();
  }

  optionText(name, misbehaves) {
    return misbehaves ? `${name} – misbehaves` : name;
  }

  async load() {
    try {
      // What a provider does by itself is what an empty body would set.
      this.show(await get(`misbehave/${encodeURIComponent(this.select.value)}`));
      this.say.textContent = "";
    } catch (refused) {
      this.say.textContent = refused.message;
    }
  }

  async change(rules, done) {
    const name = this.select.value;
    try {
      const now = await put(`misbehave/${encodeURIComponent(name)}`, rules);
      if (name !== this.select.value) return;
      this.show(now);
      const on = [...this.switches.children].filter((button) => button.ariaPressed === "true").map((button) => button.textContent);
      const well = Object.keys(rules).length === 0;
      this.say.textContent = done ?? (well ? `${name} behaves.` : on.length ? `${name}: ${on.join("; ")}.` : `${name} has its new rules.`);
      this.select.selectedOptions[0].text = this.optionText(name, !well);
    } catch (refused) {
      this.say.textContent = refused.message;
      await get(`misbehave/${encodeURIComponent(name)}`).then((kept) => this.show(kept), () => {});
    }
  }

  show(rules) {
    this.rules = rules;
    const provider = this.select.value;
    this.drop.hidden = !BOTH.includes(provider);
    const focused = document.activeElement?.textContent;
    const hadFocus = this.switches.contains(document.activeElement);
    this.switches.replaceChildren(...SWITCHES.filter(({ only }) => applies(only, provider)).map((item) => this.button(item)));
    if (hadFocus) [...this.switches.children].find((button) => button.textContent === focused)?.focus();
    const focusedRule = this.form.contains(document.activeElement) ? document.activeElement.name : "";
    this.form.replaceChildren(...this.fields(rules, "", provider));
    if (focusedRule) this.form.elements[focusedRule]?.focus();
  }

  button({ name, rules }) {
    const button = element("button", "switch", name);
    button.type = "button";
    const on = says(this.rules, rules);
    button.setAttribute("aria-pressed", String(on));
    button.addEventListener("click", () => this.change(on ? changed(this.rules, rules, OFF) : changed(this.rules, rules, rules)));
    return button;
  }

  fields(rules, before, provider) {
    return Object.entries(rules).filter(([key]) => before || applies(ONLY[key], provider)).flatMap(([key, value]) => {
      if (typeof value === "object") return this.fields(value, `${key}.`, provider);
      const label = element("label", "", `${before}${key}`);
      const field = CHOICES[key] ? document.createElement("select") : document.createElement("input");
      field.name = `${before}${key}`;
      if (CHOICES[key]) {
        field.append(...CHOICES[key].map((choice) => new Option(choice, choice)));
        field.value = value;
      } else if (typeof value === "boolean") {
        field.type = "checkbox";
        field.checked = value;
      } else {
        field.type = typeof value === "number" ? "number" : "text";
        if (field.type === "number") field.min = 0;
        field.maxLength = 80;
        field.value = value;
      }
      label.append(field);
      return [label];
    });
  }

  /** The rules as the form has them. */
  read() {
    const rules = structuredClone(this.rules);
    for (const field of this.form.elements) {
      const [first, second] = field.name.split(".");
      const [target, key] = second ? [rules[first], second] : [rules, first];
      if (field.type === "checkbox") target[key] = field.checked;
      else if (field.type === "number") target[key] = Math.max(0, Math.floor(Number(field.value) || 0));
      else target[key] = field.value;
    }
    return rules;
  }
}

/** What the rules of the switches are when they are off. */
const OFF = {
  delay: "0s", refuse_every: 0, drop_every: 0, receipts: "once", duplicate_new: false, malformed: false, ignore_link_checks: false, refuse_login: false,
  smpp: { half_open: false, out_of_order: 0, receipt_first: false },
};
