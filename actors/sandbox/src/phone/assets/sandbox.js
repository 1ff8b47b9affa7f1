// Requests to the sandbox.

/** A request that was refused, or had no answer; its message is for people. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new Refused("The sandbox does not answer: is it still running?", 0);
  }
  const text = await answer.text();
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    // What is no JSON has no detail.
  }
  if (!answer.ok) throw new Refused(body.detail ?? `The answer was ${answer.status}`, answer.status);
  return body;
}

const withBody = (method, body) => ({ method, body: JSON.stringify(body), headers: { "content-type": "application/json" } });

export const get = (path, signal) => ask(path, { signal });
export const post = (path, body) => ask(path, withBody("POST", body));
export const put = (path, body) => ask(path, withBody("PUT", body));

/** An element with a class and a text; the text is never read as HTML. */
export function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
