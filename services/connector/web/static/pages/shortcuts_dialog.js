// All keys of the inbox in tables, and the switch for those without Ctrl.

import { h, newId } from "../core/dom.js";
import { announce, showMessage } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { areSingleKeysOn, switchSingleKeys } from "./shortcuts.js";

const SHOWN = {
  list: [
    [["J"], "next"],
    [["K"], "previous"],
    [["O"], "open"],
    [["X"], "select"],
    [["/"], "search"],
  ],
  conversation: [
    [["R"], "reply"],
    [["N"], "note"],
    [["Ctrl", "Enter"], "send"],
    [["Ctrl", "Shift", "Enter"], "send_and_close"],
    [["E"], "close"],
    [["U"], "unread"],
    [["A"], "assign"],
    [["T"], "tag"],
    [["S"], "snooze"],
    [["Esc"], "leave"],
  ],
  all: [
    [["Z"], "undo"],
    [["Ctrl", "K"], "palette"],
    [["?"], "help"],
  ],
};

export function showTables() {
  const id = newId("keys");
  const box = h("input", { type: "checkbox", id, checked: areSingleKeysOn() });
  box.addEventListener("change", () => {
    switchSingleKeys(box.checked);
    announce(t(box.checked ? "shortcuts.single.on" : "shortcuts.single.off"));
  });
  const tables = Object.entries(SHOWN).map(([group, rows]) => h("table", { class: "shortcuts" }, h("caption", {}, t(`shortcuts.group.${group}`)), h("tbody", {}, rows.map(keyRow))));
  return showMessage({
    title: t("shortcuts.title"),
    content: [h("div", { class: "tick" }, box, h("label", { for: id }, t("shortcuts.single"))), tables],
  });
}

function keyRow([keys, name]) {
  return h("tr", {}, h("th", { scope: "row" }, keys.map((key) => h("kbd", {}, key.length > 1 ? t(`key.${key.toLowerCase()}`) : key))), h("td", {}, t(`shortcuts.${name}`)));
}
