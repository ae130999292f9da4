// Which of the countries that can be connected somebody means by what they type: by any name that people give them.

// Languages in which sellers know their country's name, beside that of the pages.
const NAMED_IN = ["de", "en", "fr", "it", "es", "nl", "pl", "sv", "pt", "tr", "ar", "ja", "zh"];
// What people say that no dictionary of country names has.
const ALSO_CALLED = {
  AE: ["UAE", "VAE", "Emirates", "Emirate", "Dubai", "Abu Dhabi"],
  AU: ["Aussie"],
  BE: ["Vlaanderen", "Flanders", "Wallonie"],
  DE: ["BRD", "FRG", "Federal Republic of Germany", "Bundesrepublik Deutschland"],
  EG: ["Misr"],
  FR: ["French Republic"],
  GB: ["UK", "England", "Britain", "Great Britain", "Großbritannien", "Scotland", "Schottland", "Wales", "Northern Ireland", "Nordirland"],
  IE: ["Eire", "Republic of Ireland", "Republik Irland"],
  IN: ["Bharat", "Hindustan"],
  JP: ["Nippon", "Nihon"],
  NL: ["Holland", "Niederland"],
  SA: ["KSA", "Kingdom of Saudi Arabia"],
  TR: ["Turkey", "Turkiye", "Türkei"],
  US: ["USA", "America", "Amerika", "United States of America", "Vereinigte Staaten von Amerika", "The States"],
  ZA: ["RSA", "Republic of South Africa"],
};
const ARTICLES = /^(the|die|der|das|les?|la|el|il) /;
// Two letters are within too many names: "us" within Australia.
const FEWEST_WITHIN = 3;

/** The codes of those countries of `items`, each `{country, name}`, that the words may mean; none for no words. What is called just so comes alone. */
export function meantCountries(items, words) {
  const wanted = spellings(words).filter(Boolean);
  const called = items.map(({ country, name }) => ({ country, names: namesOf(country, name) }));
  const codes = (isMeant) => called.filter(({ names }) => names.some((name) => wanted.some((each) => isMeant(name, each)))).map(({ country }) => country);
  const just = codes((name, each) => name === each);
  if (just.length) return just;
  const begun = codes((name, each) => ` ${name}`.includes(` ${each}`));
  return begun.length ? begun : codes((name, each) => each.length >= FEWEST_WITHIN && name.includes(each));
}

function namesOf(country, name) {
  const known = NAMED_IN.map((tongue) => new Intl.DisplayNames([tongue], { type: "region" }).of(country));
  return [...new Set([name, country, ...known, ...(ALSO_CALLED[country] ?? [])].flatMap(spellings))];
}

/** With ä as a and as ae; without dots and articles, so that "U.K." and "the Netherlands" are found. */
function spellings(text) {
  const lower = text.trim().toLowerCase().replaceAll(".", "").replaceAll("ß", "ss").replaceAll("ı", "i").replace(/[\s\-’'‑]+/g, " ").replace(ARTICLES, "");
  const plain = (word) => word.normalize("NFD").replace(/\p{M}/gu, "");
  return [...new Set([plain(lower), plain(lower.replaceAll("ä", "ae").replaceAll("ö", "oe").replaceAll("ü", "ue"))])];
}
