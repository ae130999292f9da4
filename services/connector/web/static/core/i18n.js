// The texts of the pages in German and English: flat keys in /static/texts, whose texts may hold {placeholders}.

const LANGUAGES = ["de", "en"];
const STORAGE_KEY = "replyco.language";

let texts = {};
let current = "en";
let form = "du";

export function language() {
  return current;
}

/** The language last chosen in this browser, else the one it prefers; for people who are not signed in. */
export function browserLanguage() {
  const remembered = localStorage.getItem(STORAGE_KEY);
  if (LANGUAGES.includes(remembered)) return remembered;
  for (const preferred of navigator.languages) {
    const short = preferred.slice(0, 2).toLowerCase();
    if (LANGUAGES.includes(short)) return short;
  }
  return "en";
}

/** "du" or "sie": how German texts address whoever reads them. */
export function formOfAddress() {
  return form;
}

/** Loads the texts of a language, in this form of address, and names the language on the page. */
export async function useLanguage(wanted, wantedForm = form) {
  const chosen = LANGUAGES.includes(wanted) ? wanted : "en";
  const answer = await fetch(`/static/texts/${chosen === "de" && wantedForm === "sie" ? "de-sie" : chosen}.json`);
  texts = await answer.json();
  current = chosen;
  form = wantedForm;
  localStorage.setItem(STORAGE_KEY, chosen);
  document.documentElement.lang = chosen;
}

/** The text of a key, with its placeholders filled. */
export function t(key, values = {}) {
  const text = texts[key];
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (placeholder, name) => (name in values ? String(values[name]) : placeholder));
}

/** The text of a key as a list of parts, so that a placeholder can be an element. */
export function textParts(key, values = {}) {
  return t(key)
    .split(/(\{\w+\})/)
    .map((part) => (part.startsWith("{") && part.slice(1, -1) in values ? values[part.slice(1, -1)] : part));
}

/** Whether there is a text for a key; the API may send codes that these pages do not know. */
export function hasText(key) {
  return key in texts;
}

/** The names below a key that have texts: with "a.b" and "a.c", those below "a" are b and c. */
export function keysBelow(key) {
  return Object.keys(texts)
    .filter((each) => each.startsWith(`${key}.`))
    .map((each) => each.slice(key.length + 1));
}

/** The text key.one or key.other, whichever the language uses with this number. */
export function count(key, number, values = {}) {
  const rule = new Intl.PluralRules(current).select(number) === "one" ? "one" : "other";
  return t(`${key}.${rule}`, { ...values, count: new Intl.NumberFormat(current).format(number) });
}
