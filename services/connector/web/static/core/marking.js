// How hits of a search are marked and gone through. Marks are made of the text nodes that are there: what is marked never becomes markup.

import { h, newId, replace } from "./dom.js";
import { announce } from "./elements.js";
import { count, t } from "./i18n.js";
import { findWords, wantedWords } from "./search_words.js";

// A row of the list is marked by itself. A message was found only if it has all the words.
const IN_ROW = ".conversation-name, .conversation-subject, .conversation-snippet, .conversation-order";
const IN_HEAD = ".conversation-head h2, .conversation-topic, .conversation-about > span:not(.tag)";
const IN_MESSAGE = ".message-head bdi, .message-facts, .subject, .message-text, .message-address bdi, .attachment bdi";
const MESSAGE = "[data-message]";

/** Returns `mark(query)`, which makes the marks within `element` those of a query, or takes them away if it is empty. */
export function marker(element, bar) {
  // What a part was marked for, and the text that it had then.
  const done = new WeakMap();
  const unfolding = unfolder(element);
  const hits = bar && hitsIn(element, bar, unfolding);
  let query = "";
  let words = [];

  return function mark(wanted) {
    if (!wanted && !query) return;
    if (wanted !== query) {
      query = wanted;
      words = query ? wantedWords(query) : [];
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
    for (const part of element.querySelectorAll(`${IN_ROW}, ${IN_HEAD}`)) change(part, [part], ([text]) => wrap(text, findWords(text.textContent, words).ranges));
    for (const part of element.querySelectorAll(MESSAGE)) change(part, [...part.querySelectorAll(IN_MESSAGE)], (texts) => markMessage(texts, words, unfolding));
    if (!query) unfolding.undo();
    if (isChanged) hits?.marked(query);
  };
}

function hitsIn(pane, bar, unfolding) {
  const said = h("span");
  const step = (by, label, sign) => h("button", { type: "button", class: "button button-secondary copy-small", "aria-label": t(label), title: t(label), onclick: () => go(by) }, sign);
  const labelId = newId("hits");
  let marks = [];
  let at = 0;
  let shownFor = "";
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-labelledby", labelId);
  replace(bar, h("span", { id: labelId }, said), step(-1, "inbox.hits.previous", "↑"), step(1, "inbox.hits.next", "↓"));

  /** The first one is scrolled to. */
  function marked(query) {
    const current = marks[at];
    marks = [...pane.querySelectorAll(`${MESSAGE} mark`)];
    at = Math.max(marks.indexOf(current), 0);
    bar.hidden = !query;
    bar.classList.toggle("hits-none", marks.length === 0);
    draw();
    if (shownFor === query || marks.length === 0) return;
    shownFor = query;
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
    if (mark) unfolding.unfold(mark);
    mark?.scrollIntoView({ block: "center", inline: "nearest" });
  }

  function go(by) {
    if (marks.length === 0) return;
    at = (at + by + marks.length) % marks.length;
    draw();
    show();
    announce(said.textContent);
  }

  return { marked };
}

/** Unfolds what hits are in, and folds it again when the search ends, except for what somebody has folded or unfolded meanwhile. */
function unfolder(element) {
  // Messages by their ids: they may be drawn anew meanwhile.
  const unfolded = new Set();
  const nameOf = (part) => (part.classList.contains("message-fold") ? part.closest(MESSAGE).dataset.message : part);
  element.addEventListener("click", ({ target }) => {
    const summary = target.closest("summary");
    if (summary) unfolded.delete(nameOf(summary.parentElement));
  });

  return {
    unfold(mark) {
      for (let around = mark.closest("details"); around; around = around.parentElement.closest("details")) {
        // What is in a summary is seen anyway; a message is unfolded for it.
        if (around.open || (mark.closest("summary") && !around.classList.contains("message-fold"))) continue;
        around.open = true;
        unfolded.add(nameOf(around));
      }
    },
    undo() {
      if (!unfolded.size) return;
      for (const part of element.querySelectorAll(`${MESSAGE} details`)) if (unfolded.has(nameOf(part))) part.open = false;
      unfolded.clear();
    },
  };
}

function markMessage(texts, words, unfolding) {
  const results = texts.map((text) => findWords(text.textContent, words));
  const found = new Set(results.flatMap((result) => [...result.found]));
  if (words.length === 0 || !words.every((word) => found.has(word))) return;
  texts.forEach((text, index) => {
    wrap(text, results[index].ranges);
    const mark = text.querySelector("mark");
    if (mark) unfolding.unfold(mark);
  });
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
