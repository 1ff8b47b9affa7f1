// The page: its phones, and what it hears of them.

import { Handset, isNumber } from "./handset.js";
import { Misbehaviour } from "./misbehaviour.js";
import { get } from "./sandbox.js";

const KEPT = "vumi-phone-numbers";
/** How long to wait before asking again, where the sandbox does not let the page wait there, or is away. */
const AGAIN = 1000;

const handsets = document.getElementById("handsets");
const template = document.getElementById("handset-template");
const add = document.getElementById("add");
const link = document.getElementById("link");
const phones = [];
let asking = new AbortController();
let most = 1;
let routers = 0;
let providers = [];

const pause = (ms) => new Promise((over) => setTimeout(over, ms));
const visible = () => document.hidden ? new Promise((over) => document.addEventListener("visibilitychange", over, { once: true })) : null;

function keptNumbers() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT)) ?? [];
    return [...new Set(kept.filter((number) => typeof number === "string" && isNumber(number)))].slice(0, most);
  } catch {
    return [];
  }
}

/** After a phone came, went or got another number. */
function changed() {
  try {
    localStorage.setItem(KEPT, JSON.stringify(phones.map((phone) => phone.number)));
  } catch {
    // A browser that keeps nothing begins anew the next time.
  }
  add.disabled = phones.length >= most;
  add.textContent = add.disabled ? `${most} phones at most` : "Add a phone";
  for (const phone of phones) phone.article.querySelector(".remove").hidden = phones.length === 1;
  asking.abort();
}

const page = {
  get providers() {
    return providers;
  },
  numbers: (first) => [first.number, ...phones.filter((phone) => phone !== first).map((phone) => phone.number)],
  renamed: changed,
  removed(phone) {
    phones.splice(phones.indexOf(phone), 1);
    phone.article.remove();
    changed();
    (phones[0] ? phones[0].typed : add).focus();
  },
};

function addPhone(number) {
  const phone = new Handset(template, number, page);
  phones.push(phone);
  handsets.append(phone.article);
  return phone;
}

function nextNumber() {
  let number = 27831234567;
  while (phones.some((phone) => phone.number === String(number))) number += 1;
  return String(number);
}

function say(state, text) {
  link.dataset.state = state;
  if (link.textContent !== text) link.textContent = text;
}

function heard({ events, sessions, routers: connected }) {
  routers = connected;
  for (const phone of phones) {
    for (const entry of events) if (entry.msisdn === phone.number) phone.heard(entry);
    phone.setSession(sessions.includes(phone.number));
  }
  if (routers > 0) say("up", routers === 1 ? "A router is connected" : `${routers} routers are connected`);
  else say("down", "No router is connected: start vumi run");
}

/** Asks what happened, for ever; waits at the sandbox for the next event. */
async function follow() {
  // Whether what the page says may be out of date: then it does not wait.
  let stale = true;
  for (;;) {
    await visible();
    asking = new AbortController();
    const asked = phones.map((phone) => [phone, phone.number]);
    const numbers = asked.map(([, number]) => number).join(",");
    const after = Math.min(...phones.map((phone) => phone.known));
    try {
      const wait = !stale && after > 0;
      const answer = await get(`phone/events.json?msisdn=${numbers}&after=${after}&wait=${wait}&routers=${routers}`, asking.signal);
      heard(answer);
      stale = false;
      for (const [phone, number] of asked) if (phone.number === number) phone.known = Math.max(phone.known, answer.last);
      if (!answer.live) await pause(AGAIN);
    } catch (failure) {
      if (failure.name === "AbortError") continue;
      say("down", failure.message);
      stale = true;
      await pause(AGAIN);
    }
  }
}

async function begin() {
  for (;;) {
    try {
      ({ providers, handsets: most } = await get("phone/setup.json"));
      break;
    } catch (failure) {
      say("down", failure.message);
      await pause(AGAIN);
    }
  }
  const numbers = keptNumbers();
  for (const number of numbers.length ? numbers : [nextNumber()]) addPhone(number);
  add.addEventListener("click", () => {
    if (phones.length >= most) return;
    addPhone(nextNumber()).typed.focus();
    changed();
  });
  new Misbehaviour(providers);
  changed();
  follow();
}

begin();
