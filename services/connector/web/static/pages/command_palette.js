// Ctrl+K: everything that can be done in the inbox and with the open conversation, and the templates, found by typing a few letters.

import { get } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { problemTexts } from "../core/elements.js";
import { languageName } from "../core/format.js";
import { t } from "../core/i18n.js";

/** What can be done with a conversation: with its box, and with the buttons that its head has at the moment. */
export function commandsOf(box, head) {
  const pressed = [...head.querySelectorAll("button[data-action=status], [data-command]")].map((button) => [button.textContent, () => button.click()]);
  return [
    [t("compose.reply"), () => box.open("reply")],
    [t("compose.note"), () => box.open("note")],
    ...(box.reply.isWriting() ? [[t("reply.send"), box.reply.send], [t("reply.send_and_close"), box.reply.sendAndClose], [t("reply.send_later"), box.reply.sendLater]] : []),
    [t("files.choose"), () => {
      box.open("reply");
      box.reply.chooseFiles();
    }],
    ...pressed,
  ].map(([label, work]) => ({ label, work }));
}

/** `commands()` are those of this moment. `extend(more, until)` adds a conversation's `commands()`, and `onTemplate(template)`, which inserts one. */
export function commandPalette({ signal, commands: own }) {
  let isOpen = false;
  let extension = null;
  const commands = () => [...(extension?.commands() ?? []), ...own()];

  function extend(more, until) {
    extension = more;
    until.addEventListener("abort", () => extension === more && (extension = null));
  }

  function open() {
    if (isOpen) return;
    isOpen = true;
    const id = newId("palette");
    const wanted = { work: null };
    const listbox = h("ul", { class: "palette-list", role: "listbox", id: `${id}-list`, "aria-label": t("palette.found") });
    const input = h("input", {
      type: "text", class: "input", role: "combobox", id, autocomplete: "off", spellcheck: "false", placeholder: t("palette.placeholder"),
      "aria-label": t("palette.title"), "aria-expanded": "true", "aria-autocomplete": "list", "aria-controls": `${id}-list`,
    });
    const said = h("p", { class: "muted palette-said", role: "status" });
    const dialog = h("dialog", { class: "dialog dialog-small palette", "aria-label": t("palette.title") }, input, said, listbox);
    const ends = new AbortController();
    let all = commands();
    // Whoever types faster than the templates come gets the first that fits.
    let isLoading = extension !== null;
    let isEntered = false;
    let shown = [];
    let active = 0;

    function choose(entry) {
      wanted.work = entry.work;
      dialog.close();
    }

    function draw() {
      const words = folded(input.value).split(/\s+/).filter(Boolean);
      shown = all.filter((entry) => words.every((word) => folded(`${entry.label} ${entry.about ?? ""}`).includes(word)));
      active = Math.min(active, Math.max(shown.length - 1, 0));
      replace(listbox, shown.map((entry, index) => h("li", { role: "option", id: `${id}-${index}`, class: "palette-entry", "aria-selected": String(index === active), onclick: () => choose(entry) }, h("bdi", {}, entry.label), entry.about && h("span", { class: "muted" }, entry.about))));
      said.textContent = shown.length || isLoading ? "" : t("palette.none");
      if (shown.length) input.setAttribute("aria-activedescendant", `${id}-${active}`);
      else input.removeAttribute("aria-activedescendant");
      listbox.children[active]?.scrollIntoView({ block: "nearest" });
    }

    input.addEventListener("input", () => {
      active = 0;
      isEntered = false;
      draw();
    });
    input.addEventListener("keydown", (event) => {
      const target = { ArrowDown: active + 1, ArrowUp: active - 1, Home: 0, End: shown.length - 1 }[event.key];
      if (event.key === "Enter" && shown[active]) choose(shown[active]);
      else if (event.key === "Enter") isEntered = isLoading;
      else if (target !== undefined && shown.length) active = (target + shown.length) % shown.length;
      else return;
      event.preventDefault();
      draw();
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      ends.abort();
      isOpen = false;
      wanted.work?.();
    });

    function take(items) {
      const templates = items.map((template) => ({ label: template.name, about: t("palette.template", { language: languageName(template.language) }), work: () => extension?.onTemplate(template) }));
      all = [...commands(), ...templates];
      isLoading = false;
      draw();
      if (isEntered && shown[active]) choose(shown[active]);
    }

    document.body.append(dialog);
    dialog.showModal();
    input.focus();
    draw();
    if (!isLoading) return;
    get("/reply-templates", AbortSignal.any([signal, ends.signal]))
      .then(({ items }) => take(items))
      .catch((problem) => {
        isLoading = false;
        if (problem.name !== "AbortError") said.textContent = problemTexts(problem).detail;
      });
  }

  return { open, extend };
}

const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
