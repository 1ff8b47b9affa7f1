// How much room a text takes: the GSM 7-bit alphabet where it has every character, else UCS-2.

const BASIC = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const ESCAPED = "^{}\\[~]|€\f";

/** A screen is 160 octets: so many characters of 7 bits, or of 16. */
const SCREEN = { "GSM-7": 182, "UCS-2": 80 };
/** An SMS alone, and each part of a long one. */
const SMS = { "GSM-7": [160, 153], "UCS-2": [70, 67] };

/** The alphabet of a text, and how many of its units it takes. */
export function size(text) {
  let units = 0;
  for (const character of text) {
    if (ESCAPED.includes(character)) units += 2;
    else if (BASIC.includes(character)) units += 1;
    else return { alphabet: "UCS-2", units: text.length };
  }
  return { alphabet: "GSM-7", units };
}

/** How full a screen is: `87/182 GSM-7`. */
export function screenSize(text) {
  const { alphabet, units } = size(text);
  const limit = SCREEN[alphabet];
  return { text: `${units}/${limit} ${alphabet}`, full: Math.min(100, Math.round((100 * units) / limit)), over: units > limit };
}

/** How long an SMS is: `12/160 GSM-7`, `200/306 GSM-7, 2 parts`. */
export function smsSize(text) {
  const { alphabet, units } = size(text);
  const [alone, part] = SMS[alphabet];
  if (units <= alone) return `${units}/${alone} ${alphabet}`;
  const parts = Math.ceil(units / part);
  return `${units}/${parts * part} ${alphabet}, ${parts} parts`;
}
