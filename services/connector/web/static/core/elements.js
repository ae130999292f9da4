// The building blocks that pages share: headings, notices, problems, buttons, fields, the lock, copying, dialogs.

import { download, downloadUrl, Problem } from "./api.js";
import { append, h, newId, replace, svg } from "./dom.js";
import { hasText, t } from "./i18n.js";

const DONE_SHOWN_MS = 8000;
let doneTimer = null;

/** Says something to people who use a screen reader. While a dialog is open, only what is in it is read to them. */
export function announce(text) {
  const dialog = [...document.querySelectorAll("dialog:modal")].at(-1);
  const announcer = dialog ? announcerIn(dialog) : document.getElementById("announcer");
  announcer.textContent = "";
  requestAnimationFrame(() => (announcer.textContent = text));
}

function announcerIn(dialog) {
  const own = dialog.querySelector(":scope > .announcer");
  if (own) return own;
  const made = h("div", { class: "visually-hidden announcer", role: "status" });
  dialog.append(made);
  return made;
}

/** Says that something is done, such as saved: to everybody, always in the same place, above whatever is open. */
export function tellDone(text) {
  announce(text);
  dispatchEvent(new Event("done"));
  const place = document.getElementById("done");
  replace(place, h("p", {}, text));
  // Shown anew, so that it lies above a dialog that has been opened since.
  if (place.matches(":popover-open")) place.hidePopover();
  place.showPopover();
  clearTimeout(doneTimer);
  doneTimer = setTimeout(() => place.hidePopover(), DONE_SHOWN_MS);
}

let pageTitle = "";
let titleCount = "";

export function setTitle(title) {
  pageTitle = title ? `${title} · Replyco` : "Replyco";
  document.title = titleCount ? `(${titleCount}) ${pageTitle}` : pageTitle;
}

/** A number before the title, so that it is seen in the browser's row of tabs; "" takes it away. */
export function setTitleCount(number) {
  titleCount = String(number);
  if (pageTitle) document.title = titleCount ? `(${titleCount}) ${pageTitle}` : pageTitle;
}

/** The one h1 of a page; takes the focus when the page is navigated to. */
export function pageHeading(text, attributes = {}) {
  setTitle(text);
  return h("h1", { tabindex: "-1", ...attributes }, text);
}

/** A box with information. `tone`: info, good, warning, bad. */
export function notice(tone, title, ...content) {
  return h("div", { class: `notice notice-${tone}` }, title && h("p", { class: "notice-title" }, title), content);
}

/** A box that says what went wrong, in the API's words, with the code in small print for people who help. */
export function problemNotice(problem, ...cure) {
  const { title, detail, code } = problemTexts(problem);
  const box = notice("bad", title, detail && h("p", {}, detail), cure, code && h("p", { class: "code" }, code));
  box.setAttribute("role", "alert");
  return box;
}

/** The title, detail and code, if there is one, to show for anything that was thrown. */
export function problemTexts(problem) {
  if (!(problem instanceof Problem)) {
    console.error(problem);
    return { title: t("problem.unexpected.title"), detail: t("problem.unexpected.detail"), code: "unexpected" };
  }
  const key = hasText(`problem.${problem.code}.title`) ? problem.code : "unknown";
  return {
    title: problem.title || t(`problem.${key}.title`),
    detail: problem.detail || t(`problem.${key}.detail`),
    // What the browser says itself helps nobody who is asked for help.
    code: problem.status === 0 ? null : problem.code,
  };
}

/** Shows a problem in a container made for it, unless the page has been left in the meantime. */
export function showProblem(container, problem, ...cure) {
  if (problem.name === "AbortError") return;
  replace(container, problemNotice(problem, cure));
}

/** A button that cannot be pressed again while its work runs. */
export function actionButton(label, work, attributes = {}) {
  const button = h("button", { type: "button", class: "button", ...attributes, onclick: () => busy(button, work) }, label);
  return button;
}

/** Runs a button's work and marks the button as busy meanwhile; does nothing if it is busy already. */
export async function busy(button, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-busy");
  }
}

/** A labelled input with its hint and its error below it. */
export function field(label, inputAttributes, hint) {
  const id = newId("field");
  const error = h("p", { class: "field-error", id: `${id}-error` });
  const input = h("input", { id, class: "input", "aria-describedby": hint ? `${id}-hint ${id}-error` : `${id}-error`, ...inputAttributes });
  const element = h("div", { class: "field" }, h("label", { for: id }, label), hint && h("p", { class: "hint", id: `${id}-hint` }, hint), input, error);
  return {
    element,
    input,
    setError(text) {
      error.textContent = text ?? "";
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

/** What a problem says about one field, else its general sentence. */
export function fieldError(problem, name) {
  return problem.errors?.find((error) => error.field === name)?.detail || problemTexts(problem).detail;
}

const SHAPES = {
  green: ["M7 11V8a5 5 0 0 1 10 0v3", "M9.2 15.7l2 2 3.6-3.8"],
  red: ["M7 11V8a5 5 0 0 1 10 0v3", "M12 13.4v2.6M12 18.2v.1"],
  pending: ["M7 11V7a5 5 0 0 1 9.6-1.9", "M8.6 16h.1M12 16h.1M15.4 16h.1"],
};

/** The lock of an integration: a shape, a word and a colour that say the same. */
export function lock({ lock: { state }, summary }) {
  const word = t(summary.code === "no_message" ? "lock.no_message" : `lock.${state}`);
  const shape = svg(
    "svg",
    { viewBox: "0 0 24 24", class: "lock-shape", "aria-hidden": "true" },
    svg("path", { d: SHAPES[state][0], class: "lock-shackle" }),
    svg("rect", { x: 4, y: 10.5, width: 16, height: 11, rx: 2.5, class: "lock-body" }),
    svg("path", { d: SHAPES[state][1], class: "lock-sign" }),
  );
  return h("span", { class: `lock lock-${state}`, "data-testid": "lock", "data-lock": state }, shape, word);
}

/** A button that copies a text and says so; without the clipboard it selects the text instead. */
export function copyButton(label, textElement, attributes = {}) {
  const confirmation = h("span", { class: "copy-said" });
  const button = h("button", { type: "button", class: "button button-secondary copy", ...attributes }, copyShape(), label);
  let hideTimer = null;
  button.addEventListener("click", async () => {
    const done = await copyText(textElement);
    confirmation.textContent = t(done ? "copy.done" : "copy.selected");
    announce(confirmation.textContent);
    clearTimeout(hideTimer);
    hideTimer = setTimeout(() => (confirmation.textContent = ""), 4000);
  });
  return h("span", { class: "copy-place" }, button, confirmation);
}

async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent.trim());
    return true;
  } catch {
    const range = document.createRange();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return false;
  }
}

function copyShape() {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" },
    svg("rect", { x: 8, y: 8, width: 12, height: 12, rx: 2 }),
    svg("path", { d: "M16 4H6a2 2 0 0 0-2 2v10" }),
  );
}

/** A link to a file that takes a proof of who is there; what went wrong is said beside it. */
export function provenDownload(path, name, label, signal) {
  const said = h("span", { role: "alert" });
  const take = async (event) => {
    event.preventDefault();
    replace(said);
    try {
      await download(path, name, signal);
    } catch (problem) {
      if (problem.name !== "AbortError") replace(said, " ", problemTexts(problem).title);
    }
  };
  return h("span", {}, h("a", { href: downloadUrl(path), download: name, onclick: take }, label), said);
}

/** A link to somebody else's page, in a window of its own. */
export function outsideLink(address, label, attributes = {}) {
  return h(
    "a",
    { href: address, target: "_blank", rel: "noopener noreferrer", ...attributes },
    label,
    h("span", { class: "visually-hidden" }, ` (${t("common.new_window")})`),
  );
}

/** Asks people to confirm something that has consequences; resolves to true if they do. They can confirm only while `check()` is true. */
export function confirmDialog({ title, content, confirm, isDangerous = true, check = () => true }) {
  return new Promise((resolve) => {
    const id = newId("confirm");
    const cancelButton = h("button", { type: "button", class: "button button-secondary" }, t("common.cancel"));
    const confirmButton = h("button", { type: "button", class: isDangerous ? "button button-danger" : "button" }, confirm);
    const dialog = h(
      "dialog",
      { class: "dialog dialog-small", "data-asks": true, "aria-labelledby": id },
      h("h2", { id }, title),
      h("div", { class: "dialog-body" }, content),
      h("div", { class: "buttons buttons-end" }, cancelButton, confirmButton),
    );
    cancelButton.addEventListener("click", () => dialog.close());
    confirmButton.addEventListener("click", () => check() && dialog.close("confirmed"));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "confirmed");
    });
    document.body.append(dialog);
    dialog.showModal();
    cancelButton.focus();
  });
}

/** A dialog with something that people must read; resolves when they close it. */
export function showMessage({ title, content }) {
  return new Promise((resolve) => {
    const id = newId("message");
    const button = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, t("common.close"));
    const dialog = h("dialog", { class: "dialog dialog-small", "aria-labelledby": id }, h("h2", { id }, title), h("div", { class: "dialog-body" }, content), h("div", { class: "buttons buttons-end" }, button));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve();
    });
    document.body.append(dialog);
    dialog.showModal();
    button.focus();
  });
}

/** A function that runs `work` at most once in so many milliseconds, however often it is called; the last call always leads to a run. */
export function throttled(milliseconds, signal, work) {
  let isRunning = false;
  let isWanted = false;
  return async function run() {
    isWanted = true;
    if (isRunning) return;
    isRunning = true;
    while (isWanted && !signal.aborted) {
      isWanted = false;
      await work();
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
    }
    isRunning = false;
  };
}
