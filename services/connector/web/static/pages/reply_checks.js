// How much Amazon allows and what it forbids, told while an agent writes. What stands in the box is never changed.

import { post } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { notice, throttled } from "../core/elements.js";
import { size } from "../core/format.js";
import { language, t } from "../core/i18n.js";

const CHECK_EACH_MS = 700;

/** `reply()` is `{ text, file_ids }`; `bytes()` how large its files are. `input` is where its text stands. */
export function replyChecks({ path, input, reply, bytes, signal }) {
  const counter = h("p", { class: "muted reply-counter" });
  const warningsPlace = h("div", { class: "place", "aria-live": "polite" });
  let limits = {};
  let shown = "";

  const number = (value) => new Intl.NumberFormat(language()).format(value);

  function draw() {
    // As the server counts: an emoji is one character, not two.
    const characters = [...input.value].length;
    const { most_characters: mostCharacters, most_files_bytes: mostBytes } = limits;
    if (!mostCharacters) return;
    const isTooLong = characters > mostCharacters;
    const isTooLarge = bytes() > mostBytes;
    replace(
      counter,
      h("span", { class: isTooLong ? "tone-bad" : "" }, t(isTooLong ? "counter.characters.over" : "counter.characters", { count: number(characters), most: number(mostCharacters) })),
      " · ",
      h("span", { class: isTooLarge ? "tone-bad" : "" }, bytes() ? t("counter.files", { size: size(bytes()), most: size(mostBytes) }) : t("counter.files.none", { most: size(mostBytes) })),
    );
  }

  const ask = throttled(CHECK_EACH_MS, signal, async () => {
    try {
      const answer = await post(`${path}/replies/check`, reply(), signal);
      limits = answer;
      draw();
      const serialized = JSON.stringify([answer.blocked, answer.warnings]);
      if (serialized === shown) return;
      shown = serialized;
      replace(warningsPlace, blockedNotice(answer.blocked), warningsNotice(answer.warnings, input));
    } catch (problem) {
      // It is only a help while writing: sending asks again, and says what is wrong.
      if (problem.status === undefined) throw problem;
    }
  });

  return {
    counter,
    element: warningsPlace,
    mostBytes: () => limits.most_files_bytes ?? null,
    changed() {
      draw();
      ask().catch((problem) => problem.name !== "AbortError" && console.error(problem));
    },
  };
}

function blockedNotice(blocked) {
  return blocked.length > 0 && notice("bad", t("blocked.title"), h("ul", { class: "rules" }, blocked.map(({ detail }) => h("li", {}, detail))));
}

function warningsNotice(warnings, input) {
  return warnings.length > 0 && notice("warning", t("warned.title"), rulesList(warnings, input));
}

/** The rules that a reply may break, each with the words that break it; a click shows them in the text. */
export function rulesList(warnings, input) {
  return h(
    "ul",
    { class: "rules" },
    warnings.map(({ rule, excerpts }) =>
      h("li", { "data-testid": "rule" }, rule, excerpts.length > 0 && h("span", { class: "excerpts" }, excerpts.map((excerpt) => excerptButton(excerpt, input)))),
    ),
  );
}

function excerptButton({ start, end, text }, input) {
  // Of a file's name: it is not in the text.
  if (start === null) return h("bdi", { class: "excerpt" }, text);
  return h("button", { type: "button", class: "excerpt", title: t("warned.show"), onclick: () => select(input, start, end) }, h("bdi", {}, text));
}

/** The API counts characters, the text area UTF-16 units. */
function select(input, start, end) {
  const before = (index) => [...input.value].slice(0, index).join("").length;
  input.focus();
  input.setSelectionRange(before(start), before(end));
}
