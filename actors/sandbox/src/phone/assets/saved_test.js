// What happened on a phone, as a test of a menu: a `*.test.yaml` beside the menu. Numbers are replaced.

/** A text as YAML can always read it. */
const quoted = (text) => JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029\ufeff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** An answer: a number as a number, as people write it, else a text. */
const typed = (text) => (/^(0|[1-9]\d{0,8})$/.test(text) ? text : quoted(text));

/** A screen: as a block where it stays the same in one, else in quotes. */
function screen(text, indent) {
  const plain = /^[^\s][^\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff]*$/.test(text);
  if (!plain || /[ \n]$/.test(text) || / \n/.test(text)) return ` ${quoted(text)}`;
  return ` |\n${text.split("\n").map((line) => (line ? indent + line : "")).join("\n")}`;
}

/** Each number, however it is written, becomes one that is nobody's. */
function replacer(numbers) {
  const pairs = numbers.flatMap((number, at) => {
    const instead = `2783000000${at + 1}`;
    const forms = [[number, instead]];
    // As people write it at home: 083 123 4567 is 27 83 123 4567.
    if (number.length >= 10) forms.push([`0${number.slice(-9)}`, `0${instead.slice(-9)}`]);
    return forms;
  });
  return (text) => pairs.reduce((changed, [number, instead]) => changed.split(number).join(instead), text);
}

/** The text of a line of comment. */
const comment = (text) => text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");

/**
 * The test. `entries` are the events of one phone in their order, `numbers` the numbers to replace, this phone's first, `menu`
 * the menu's file.
 */
export function savedTest(entries, numbers, menu) {
  const replaced = replacer(numbers);
  const steps = [];
  const latest = () => steps[steps.length - 1];
  const add = (line) => steps.push({ lines: [line], sms: [] });
  for (const { what, text, open, other } of entries) {
    if (what === "dialled") add(`dial: ${quoted(replaced(text))}`);
    else if (what === "answered") add(`send: ${typed(replaced(text))}`);
    else if (what === "hung_up") add("hang_up: true");
    else if (what === "timed_out") add("hang_up: true  # the network ended the session");
    else if (what === "screen" && latest() && !latest().seen) {
      latest().seen = true;
      latest().lines.push(`${open ? "see" : "end"}:${screen(replaced(text), "        ")}`);
    } else if (what === "sms_received" && latest()) latest().sms.push(replaced(text));
    else if (what === "screen") steps.push({ note: `a screen that nobody asked for: ${replaced(text)}` });
    else if (what === "sms_received") steps.push({ note: `an SMS before anybody dialled: ${replaced(text)}` });
    else if (what === "sms_sent") steps.push({ note: `the person sent an SMS to ${other || "the service"}: ${replaced(text)}` });
    else if (what === "failed") steps.push({ note: `no screen: ${replaced(text)}` });
  }
  const lines = steps.flatMap((step) => {
    if (step.note) return [`    # ${comment(step.note)}`];
    const [first, ...more] = step.lines;
    const sms = step.sms.length ? [`      sms: [${step.sms.map(quoted).join(", ")}]`] : [];
    return [`    - ${first}`, ...more.map((line) => `      ${line}`), ...sms];
  });
  const dialled = entries.find((entry) => entry.what === "dialled");
  const name = dialled ? `A person dials ${replaced(dialled.text)}` : "A person writes an SMS";
  return [
    "# Saved from the phone in the browser. Phone numbers are replaced: look for other personal data before you share this.",
    `menu: ${/^[\w.-]+$/.test(menu) ? menu : quoted(menu)}`,
    "tests:",
    `  ${quoted(name)}:`,
    ...lines,
    "",
  ].join("\n");
}

/** The name of the test's file: beside its menu. */
export const fileOf = (menu) => `${menu.replace(/^.*[\\/]/, "").replace(/\.ya?ml$/, "") || "menu"}.test.yaml`;
