// The texts of the pages in German and English: flat keys, whose texts may hold {placeholders}. Those of all pages come first, others with their page.

const LANGUAGES = ["de", "en"];
const STORAGE_KEY = "replyco.language";

const files = new Map();
const pages = new Set(["app"]);
let texts = {};
let current = "en";
let form = "du";
let lastWanted = null;

export function language() {
  return current;
}

/** The language with the region that the browser prefers, which says how dates and numbers are written: English in Britain is no American one. */
export function locale() {
  const same = navigator.languages.find((each) => each.slice(0, 2).toLowerCase() === current && each.length > 2);
  const { region } = new Intl.Locale(same ?? navigator.languages[0] ?? current);
  return region ? `${current}-${region}` : current;
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

/** Loads the texts of a language, in this form of address, and names the language on the page. */
export async function useLanguage(wanted, wantedForm = form) {
  const chosen = LANGUAGES.includes(wanted) ? wanted : "en";
  lastWanted = setOf(chosen, wantedForm);
  const parts = await Promise.all([...pages].map((page) => textFile(setOf(chosen, wantedForm), page)));
  if (lastWanted !== setOf(chosen, wantedForm)) return;
  texts = Object.assign({}, ...parts);
  current = chosen;
  form = wantedForm;
  localStorage.setItem(STORAGE_KEY, chosen);
  document.documentElement.lang = chosen;
}

/** Loads the texts of a page, too. */
export async function loadTexts(page) {
  if (pages.has(page)) return;
  const set = setOf(current, form);
  const part = await textFile(set, page);
  pages.add(page);
  if (set === setOf(current, form)) texts = { ...texts, ...part };
  else await useLanguage(current);
}

const setOf = (chosen, wantedForm) => (chosen === "de" && wantedForm === "sie" ? "de-sie" : chosen);

function textFile(set, page) {
  const address = new URL(`../texts/${set}/${page}.json`, import.meta.url).href;
  if (!files.has(address)) files.set(address, readFile(address));
  return files.get(address);
}

async function readFile(address) {
  try {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${answer.status} ${address}`);
    return await answer.json();
  } catch (error) {
    files.delete(address);
    throw error;
  }
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
  return t(`${key}.${rule}`, { ...values, count: new Intl.NumberFormat(locale()).format(number) });
}
