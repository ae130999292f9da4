// German and English. Texts are flat keys in /static/texts; a text may hold {placeholders}.

const LANGUAGES = ["de", "en"];
const REMEMBERED = "replyco.language";

let texts = {};
let current = "en";

export function language() {
  return current;
}

/** What this browser was told last, else what it prefers; for people who are not signed in. */
export function browserLanguage() {
  const remembered = localStorage.getItem(REMEMBERED);
  if (LANGUAGES.includes(remembered)) return remembered;
  for (const preferred of navigator.languages) {
    const short = preferred.slice(0, 2).toLowerCase();
    if (LANGUAGES.includes(short)) return short;
  }
  return "en";
}

/** Loads the texts of a language and names it on the page. */
export async function useLanguage(wanted) {
  const chosen = LANGUAGES.includes(wanted) ? wanted : "en";
  const answer = await fetch(`/static/texts/${chosen}.json`);
  texts = await answer.json();
  current = chosen;
  localStorage.setItem(REMEMBERED, chosen);
  document.documentElement.lang = chosen;
}

/** The text of a key, with its placeholders filled. */
export function t(key, values = {}) {
  const text = texts[key];
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** The text of a key as a list of parts, so that a placeholder can be an element. */
export function parts(key, values = {}) {
  return t(key)
    .split(/(\{\w+\})/)
    .map((part) => (part.startsWith("{") && part.slice(1, -1) in values ? values[part.slice(1, -1)] : part));
}

/** Whether there is a text for a key made of a code that the API may add to. */
export function hasText(key) {
  return key in texts;
}

/** What there are texts for below a key: "a.b" and "a.c" below "a" are b and c. */
export function namesBelow(key) {
  return Object.keys(texts)
    .filter((each) => each.startsWith(`${key}.`))
    .map((each) => each.slice(key.length + 1));
}

/** One of two texts by number: key.one, key.other. */
export function count(key, number) {
  const rule = new Intl.PluralRules(current).select(number) === "one" ? "one" : "other";
  return t(`${key}.${rule}`, { count: new Intl.NumberFormat(current).format(number) });
}
