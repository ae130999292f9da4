// Marks what somebody looks for, wherever it is shown. Marks are made of the text nodes that are there: what is marked never becomes markup.

import { h, newId, replace } from "./dom.js";
import { announce } from "./elements.js";
import { count, t } from "./i18n.js";

// A row of the list is marked by itself. A message was found only if it has all the words.
const IN_ROW = ".conversation-name, .conversation-subject, .conversation-snippet, .conversation-order";
const IN_HEAD = ".conversation-head h2, .conversation-topic, .conversation-about > span:not(.tag)";
const IN_MESSAGE = ".message-head bdi, .message-facts, .subject, .message-text, .message-address bdi, .attachment bdi";
const MESSAGE = "[data-message]";

// Loaded when somebody searches.
let searchWords = null;

/** Marks within `element` what the page's search is for, also in what is drawn later. `onMarked()` is called when marks have changed. */
export function keepMarked(element, signal, onMarked = () => {}) {
  // What a part was marked for, and the text that it had then.
  const done = new WeakMap();
  let words = [];
  let query = "";
  const mark = () => {
    const wanted = searched();
    if (!wanted && !element.querySelector("mark")) return;
    if (wanted && !searchWords) return loadSearchWords().then(mark, () => {});
    if (wanted !== query) {
      query = wanted;
      words = query ? searchWords.wantedWords(query) : [];
    }
    let isChanged = false;
    const change = (part, texts, work) => {
      const state = [query, ...texts.map(({ textContent }) => textContent)].join("\n");
      if ((done.get(part) ?? "") === state || (!query && !done.has(part))) return;
      done.set(part, state);
      texts.forEach(unmark);
      if (query) work(texts);
      isChanged = true;
    };
    for (const part of element.querySelectorAll(`${IN_ROW}, ${IN_HEAD}`)) change(part, [part], ([text]) => wrap(text, searchWords.findWords(text.textContent, words).ranges));
    for (const part of element.querySelectorAll(MESSAGE)) change(part, [...part.querySelectorAll(IN_MESSAGE)], (texts) => markMessage(texts, words));
    if (isChanged) onMarked();
  };
  const observer = new MutationObserver(mark);
  observer.observe(element, { childList: true, subtree: true });
  signal.addEventListener("abort", () => observer.disconnect());
}

/** The marks in the messages of a conversation one by one: how many, which one, back and on. The first one is scrolled to. */
export function hits(pane, signal) {
  const said = h("span");
  const step = (by, label, sign) => h("button", { type: "button", class: "button button-secondary copy-small", "aria-label": t(label), title: t(label), onclick: () => go(by) }, sign);
  const labelId = newId("hits");
  const element = h("div", { class: "hits", role: "group", "aria-labelledby": labelId, hidden: true }, h("span", { id: labelId }, said), step(-1, "inbox.hits.previous", "↑"), step(1, "inbox.hits.next", "↓"));
  let marks = [];
  let at = 0;
  let shownFor = "";

  function onMarked() {
    const current = marks[at];
    marks = [...pane.querySelectorAll(`${MESSAGE} mark`)];
    at = Math.max(marks.indexOf(current), 0);
    element.hidden = !searched();
    element.classList.toggle("hits-none", marks.length === 0);
    draw();
    if (shownFor === searched() || marks.length === 0) return;
    shownFor = searched();
    announce(count("inbox.hits", marks.length));
    // When whoever opened the conversation has put the focus and the page's beginning where they belong.
    requestAnimationFrame(show);
  }

  function draw() {
    marks.forEach((mark, index) => mark.classList.toggle("mark-current", index === at));
    replace(said, marks.length ? t("inbox.hits.place", { number: at + 1, count: marks.length }) : t("inbox.hits.none"));
  }

  function show() {
    const mark = marks[at];
    // Somebody may have folded its message.
    if (mark) unfold(mark);
    mark?.scrollIntoView({ block: "center", inline: "nearest" });
  }

  function go(by) {
    if (marks.length === 0) return;
    at = (at + by + marks.length) % marks.length;
    draw();
    show();
    announce(said.textContent);
  }

  keepMarked(pane, signal, onMarked);
  return element;
}

async function loadSearchWords() {
  searchWords = await import("./search_words.js");
}

/** What the page looks for: it stands beside the address, never in it. */
const searched = () => history.state?.q ?? "";

function markMessage(texts, words) {
  const results = texts.map((text) => searchWords.findWords(text.textContent, words));
  const found = new Set(results.flatMap((result) => [...result.found]));
  if (words.length === 0 || !words.every((word) => found.has(word))) return;
  texts.forEach((text, index) => {
    wrap(text, results[index].ranges);
    const mark = text.querySelector("mark");
    if (mark) unfold(mark);
  });
}

function unfold(mark) {
  for (let around = mark.closest("details"); around; around = around.parentElement.closest("details")) {
    // What is in a summary is seen anyway; a message is unfolded for it.
    if (!mark.closest("summary") || around.classList.contains("message-fold")) around.open = true;
  }
}

function unmark(text) {
  for (const mark of text.querySelectorAll("mark")) mark.replaceWith(...mark.childNodes);
  text.normalize();
}

/** Wraps these ranges of an element's text; one may go over several of its text nodes. */
function wrap(element, ranges) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (walker.nextNode()) nodes.push(walker.currentNode);
  let start = 0;
  for (const node of nodes) {
    const { data } = node;
    const pieces = [];
    let end = 0;
    for (const range of ranges) {
      const [from, to] = range.map((place) => Math.min(Math.max(place - start, 0), data.length));
      if (from >= to) continue;
      pieces.push(data.slice(end, from), h("mark", {}, data.slice(from, to)));
      end = to;
    }
    if (pieces.length) node.replaceWith(...pieces, data.slice(end));
    start += data.length;
  }
}
