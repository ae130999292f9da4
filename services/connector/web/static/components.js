// All parts of which pages are made, side by side in light and dark. Its address exists in development only.

import { Problem } from "./core/api.js";
import { h, replace } from "./core/dom.js";
import { actionButton, confirmDialog, copyButton, field, lock, notice, outsideLink, pageHeading, problemNotice, showMessage, tellDone } from "./core/elements.js";
import { browserLanguage, loadTexts, t, useLanguage } from "./core/i18n.js";
import { menuButton } from "./core/menu_button.js";

const WORDS = "Lampen Europa";

const part = (name, ...content) => h("section", { class: "part", "aria-label": name }, h("h3", {}, name), content);

function buttons() {
  const busyButton = h("button", { type: "button", class: "button", "aria-busy": "true" }, t("common.loading"));
  return part(
    "Buttons",
    h(
      "div",
      { class: "buttons" },
      actionButton(t("common.try_again"), () => tellDone(t("copy.done"))),
      actionButton(t("common.load_more"), () => {}, { class: "button button-secondary" }),
      actionButton(t("unsaved.discard"), () => {}, { class: "button button-danger" }),
      actionButton(t("common.refresh"), () => {}, { class: "button button-small" }),
      busyButton,
      h("button", { type: "button", class: "link-button" }, t("common.cancel")),
    ),
    h("p", {}, outsideLink("https://sellercentral.amazon.de", WORDS)),
  );
}

function fields() {
  const empty = field(t("sign_in.email"), { type: "email", name: "email", autocomplete: "off" }, t("sign_in.code_hint"));
  const wrong = field(t("sign_in.password"), { type: "password", name: "password", autocomplete: "off" });
  wrong.setError(t("sign_in.password_missing"));
  const choice = h("select", { class: "input", "aria-label": WORDS }, [WORDS, "Lamps America"].map((each) => h("option", {}, each)));
  const tick = h("label", {}, h("input", { type: "checkbox", checked: true }), ` ${WORDS}`);
  return part("Fields", h("form", { class: "form card", novalidate: true, onsubmit: (event) => event.preventDefault() }, empty.element, wrong.element, h("div", { class: "field" }, choice), tick, h("button", { class: "button" }, t("common.try_again"))));
}

function locks() {
  const states = [["green"], ["red"], ["pending"], ["pending", "no_message"]];
  return part("Locks", h("p", { class: "buttons" }, states.map(([state, code]) => lock({ lock: { state }, summary: { code } }))));
}

function rows() {
  const address = h("code", { class: "address address-small" }, "mabtekrud@replyco.email");
  const row = (title) => h("li", { class: "row" }, h("div", {}, h("p", { class: "row-title" }, title), h("p", { class: "muted" }, t("common.never"))), h("span", { class: "tag" }, "DE"));
  return part("Rows", h("ul", { class: "rows" }, row(WORDS), row("Donaudampfschifffahrtsgesellschaft".repeat(2))), h("div", { class: "address-line" }, address, copyButton(t("copy.address"), address)));
}

function notices() {
  const tones = ["info", "good", "warning", "bad"].map((tone) => notice(tone, WORDS, h("p", {}, t("network.away"))));
  return part("Notices", tones, problemNotice(new Problem(0, { code: "network_away" })));
}

function dialogs() {
  const question = { title: t("unsaved.title"), content: h("p", {}, t("unsaved.text")), confirm: t("unsaved.discard") };
  const drawn = h(
    "dialog",
    { class: "dialog dialog-small part-dialog", open: true, "aria-label": WORDS },
    h("h2", {}, question.title),
    h("div", { class: "dialog-body" }, h("p", {}, t("unsaved.text"))),
    h("div", { class: "buttons buttons-end" }, h("button", { type: "button", class: "button button-secondary" }, t("common.cancel")), h("button", { type: "button", class: "button button-danger" }, question.confirm)),
  );
  return part("Dialogs", drawn, h("div", { class: "buttons" }, actionButton("confirmDialog", () => confirmDialog(question)), actionButton("showMessage", () => showMessage({ title: WORDS, content: h("p", {}, t("unsaved.text")) }))));
}

function menus() {
  const commands = ["first", "second"].map((name) => ({ name, label: `${WORDS} ${name}`, work: () => tellDone(name) }));
  return part("Menus", menuButton(WORDS, commands), h("details", { class: "manage" }, h("summary", {}, WORDS), h("p", {}, t("unsaved.text"))));
}

function emptiness() {
  const empty = h("div", { class: "empty card" }, h("h4", {}, t("not_found.title")), h("p", {}, t("not_found.text")), h("a", { href: "/", class: "button" }, t("not_found.home")));
  return part("Nothing there, and loading", empty, h("p", { class: "muted", "aria-busy": "true" }, t("common.loading")));
}

const parts = () => [buttons(), fields(), locks(), rows(), notices(), dialogs(), menus(), emptiness()];

async function start() {
  await useLanguage(browserLanguage());
  await loadTexts("components");
  const schemes = ["light", "dark"].map((scheme) => h("section", { class: `scheme scheme-${scheme}`, "aria-label": scheme }, h("h2", {}, scheme), parts()));
  replace(document.getElementById("main"), h("div", { class: "page" }, pageHeading("Components"), h("div", { class: "schemes" }, schemes)));
}

start();
