// Where the words that somebody looks for stand in a text. The server finds messages by the same rules (shared/search_words.py); both are
// tested by the cases in tests/search_words.json.

const UNSPACED = "\\u3005-\\u3007\\u3041-\\u3096\\u309d-\\u309f\\u30a1-\\u30fa\\u30fc-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
const RUN = new RegExp(`([${UNSPACED}]+)|(?:(?![${UNSPACED}])[\\p{L}\\p{N}])+`, "gu");
const LETTER = "\\p{L}\\p{N}_";
const ADDRESS = new RegExp(`(?<![${LETTER}.+=%~\\-])[${LETTER}.+=%~\\-]{1,64}@[${LETTER}\\-]{1,63}(?:\\.[${LETTER}\\-]{1,63}){1,10}`, "gu");
const ORDER_ID = new RegExp(`(?<![${LETTER}\\-])[0-9]{3}-[0-9]{7}-[0-9]{7}(?![${LETTER}\\-])`, "gu");
// A character with what belongs to it, so that it is folded as a whole: marks, what has no width, voiced marks of half width, parts of Hangul.
const CLUSTER = /[\u1100-\u11ff]+[\p{M}\p{Cf}]*|[^\p{M}\p{Cf}\uff9e\uff9f][\p{M}\p{Cf}\uff9e\uff9f]*|[\p{M}\p{Cf}\uff9e\uff9f]+/gsu;
const WRITTEN_OUT = { ä: "ae", ö: "oe", ü: "ue", å: "aa", ø: "oe" };
const SIMPLER = { ø: "o", æ: "ae", œ: "oe", ł: "l", đ: "d", ı: "i" };

/** What is looked for, each once: addresses and order ids as wholes, then the words beside them. */
export function wantedWords(query) {
  let rest = fold(query);
  const wholes = [];
  for (const pattern of [ADDRESS, ORDER_ID]) {
    wholes.push(...(rest.match(pattern) ?? []));
    rest = rest.replace(pattern, " ");
  }
  return [...new Set([...wholes, ...wordsOf(rest).map(({ word }) => spellings(word)[0])])];
}

/** Where the wanted words are in a text: `[start, end]` of each, in order and apart from one another; and which of them there are. */
export function findWords(text, wanted) {
  const { folded, starts, ends } = foldedWithPlaces(text);
  const found = new Set();
  const ranges = [];
  const take = (start, length, ways) => {
    const way = ways.find((each) => wanted.includes(each));
    if (way === undefined) return;
    found.add(way);
    ranges.push([starts[start], ends[start + length - 1]]);
  };
  for (const { 0: address, index } of folded.matchAll(ADDRESS)) take(index, address.length, [address, untagged(address)]);
  for (const { 0: order, index } of folded.matchAll(ORDER_ID)) take(index, order.length, [order]);
  for (const { word, at } of wordsOf(folded)) take(at, word.length, spellings(word));
  return { ranges: joined(ranges), found };
}

/** Those that overlap become one. */
function joined(ranges) {
  const apart = [];
  for (const [start, end] of ranges.sort(([one], [other]) => one - other)) {
    const last = apart.at(-1);
    if (last && start < last[1]) last[1] = Math.max(last[1], end);
    else apart.push([start, end]);
  }
  return apart;
}

function wordsOf(folded) {
  const words = [];
  for (const { 0: run, 1: unspaced, index } of folded.matchAll(RUN)) {
    const characters = [...run];
    if (unspaced === undefined) {
      if (characters.length >= 2) words.push({ word: run, at: index });
      continue;
    }
    let at = index;
    for (let next = 1; next < characters.length; next += 1) {
      words.push({ word: characters[next - 1] + characters[next], at });
      at += characters[next - 1].length;
    }
  }
  return words;
}

const fold = (text) => foldedWithPlaces(text).folded;

/** `starts` and `ends`: where in the text the character begins and ends that a letter of `folded` comes from. */
function foldedWithPlaces(text) {
  let folded = "";
  const starts = [];
  const ends = [];
  for (const { 0: cluster, index } of text.matchAll(CLUSTER)) {
    const letters = foldCluster(cluster);
    folded += letters;
    for (let each = 0; each < letters.length; each += 1) {
      starts.push(index);
      ends.push(index + cluster.length);
    }
  }
  return { folded, starts, ends };
}

function foldCluster(cluster) {
  if (cluster.length === 1 && cluster < "\u0080") return cluster.toLowerCase();
  const lower = cluster.normalize("NFKC").replace(/\p{Cf}/gu, "").toLowerCase();
  return lower.replace(/\p{M}/gu, "").replaceAll("ß", "ss").replaceAll("ς", "σ").replace(/[\u2010-\u2015\u2212]/g, "-");
}

function spellings(word) {
  if (/^[\0-\x7f]*$/.test(word) || new RegExp(`^[${UNSPACED}]`, "u").test(word)) return [word];
  return [withoutAccents(replaced(word, WRITTEN_OUT)), withoutAccents(word)];
}

const withoutAccents = (word) => replaced(word, SIMPLER).normalize("NFD").replace(/\p{M}/gu, "").normalize("NFC");

const replaced = (word, letters) => [...word].map((letter) => letters[letter] ?? letter).join("");

function untagged(address) {
  const at = address.lastIndexOf("@");
  return address.slice(0, at).split("+")[0] + address.slice(at);
}
