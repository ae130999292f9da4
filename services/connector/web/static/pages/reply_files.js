// A reply's files: chosen, dropped or pasted, each sent to the server at once, which says whether Amazon allows it.

import { downloadUrl, remove, upload } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { announce, busy, problemTexts } from "../core/elements.js";
import { size } from "../core/format.js";
import { t } from "../core/i18n.js";

/** `most()` is how many bytes Amazon allows for all together. `onChange` is called when the files have changed. */
export function replyFiles({ path, signal, most, onChange }) {
  const list = h("ul", { class: "reply-files", "aria-label": t("files.chosen") });
  const picker = h("input", { type: "file", multiple: true, class: "visually-hidden", tabindex: "-1", "aria-hidden": "true" });
  const button = h("button", { type: "button", class: "button button-secondary button-small", onclick: () => picker.click() }, t("files.choose"));
  const rows = new Map();
  let uploads = Promise.resolve();
  const stored = () => [...rows.values()].filter(({ file }) => file).map(({ file }) => file);
  const bytes = () => [...rows.values()].reduce((sum, row) => sum + (row.isRefused ? 0 : row.size), 0);

  picker.addEventListener("change", () => {
    add([...picker.files]);
    picker.value = "";
  });

  /** Takes files that a person has chosen: all are shown at once and sent one after the other, so that they keep their order. */
  function add(files) {
    const added = files.map(newRow);
    uploads = uploads.then(async () => {
      for (const row of added) await send(row);
    });
  }

  function newRow(file) {
    const key = newId("file");
    const row = { size: file.size, source: file, file: null, isRefused: false, ends: new AbortController() };
    row.said = h("span", { class: "muted" }, size(file.size));
    row.progress = h("progress", { max: 1, value: 0, "aria-label": t("files.progress", { name: file.name }) });
    row.element = h("li", { class: "reply-file" }, h("bdi", { class: "reply-file-name" }, file.name), row.said, row.progress, removeButton(file.name, () => drop(key)));
    const isTooMuch = most() && bytes() + file.size > most();
    rows.set(key, row);
    list.append(row.element);
    if (isTooMuch) refuse(row, t("files.too_large", { most: size(most()) }));
    return row;
  }

  async function send(row) {
    const { source, ends, progress } = row;
    if (row.isRefused || ends.signal.aborted) return;
    try {
      row.file = await upload(`${path}/files?filename=${encodeURIComponent(source.name)}`, source, AbortSignal.any([signal, ends.signal]), (part) => (progress.value = part));
      progress.remove();
      replace(row.said, size(row.file.size));
      announce(t("files.added", { name: source.name }));
      onChange();
    } catch (problem) {
      if (problem.name !== "AbortError") refuse(row, problemTexts(problem).detail);
    }
  }

  function refuse(row, reason) {
    row.isRefused = true;
    row.element.classList.add("reply-file-refused");
    row.progress.remove();
    replace(row.said, h("span", { class: "field-error", role: "alert" }, reason));
    onChange();
  }

  async function drop(key) {
    const row = rows.get(key);
    row.ends.abort();
    if (row.file) await remove(`/files/${row.file.id}`).catch((problem) => problem.status !== 404 && Promise.reject(problem));
    rows.delete(key);
    const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
    row.element.remove();
    (next?.querySelector("button") ?? button).focus();
    onChange();
  }

  function removeButton(name, work) {
    const cross = h("button", { type: "button", class: "close-button", "aria-label": t("files.remove", { name }) }, "×");
    cross.addEventListener("click", () => busy(cross, () => work().catch((problem) => announce(problemTexts(problem).detail))));
    return cross;
  }

  /** Shows the files of a draft that was read from the server. `before`: the ids of those that were here when it was asked; later ones it may not know. */
  function show(files, before) {
    for (const [key, row] of rows) {
      if (!before.includes(row.file?.id)) continue;
      row.element.remove();
      rows.delete(key);
    }
    for (const file of files.filter(({ id }) => !stored().some((known) => known.id === id))) {
      const key = newId("file");
      const name = file.filename || t("conversation.unnamed_file");
      const link = h("a", { class: "reply-file-name", href: downloadUrl(`/files/${file.id}`), download: file.filename }, h("bdi", {}, name));
      const element = h("li", { class: "reply-file" }, link, h("span", { class: "muted" }, size(file.size)), removeButton(name, () => drop(key)));
      rows.set(key, { size: file.size, file, isRefused: false, ends: new AbortController(), element });
      list.append(element);
    }
    onChange();
  }

  /** Files may be dropped anywhere on this element, and pasted into it. */
  function acceptOn(element) {
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    element.addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      element.classList.add("takes-files");
    });
    element.addEventListener("dragleave", (event) => !element.contains(event.relatedTarget) && element.classList.remove("takes-files"));
    element.addEventListener("drop", (event) => {
      element.classList.remove("takes-files");
      if (!hasFiles(event)) return;
      event.preventDefault();
      add([...event.dataTransfer.files]);
    });
    element.addEventListener("paste", (event) => {
      // Office programs put a picture beside the text that was copied: then the text is meant.
      if (!event.clipboardData.files.length || event.clipboardData.types.includes("text/plain")) return;
      event.preventDefault();
      add([...event.clipboardData.files]);
    });
  }

  return {
    list,
    button: h("span", {}, button, picker),
    choose: () => picker.click(),
    acceptOn,
    show,
    bytes,
    ids: () => stored().map(({ id }) => id),
    isUploading: () => [...rows.values()].some((row) => !row.file && !row.isRefused),
    /** Resolves when every file that was chosen is with the server, or refused. */
    settled: () => uploads,
    hasRefused: () => [...rows.values()].some((row) => row.isRefused),
  };
}
