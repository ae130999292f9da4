// Which conversations are selected: by a tick, from one to another with Shift, by a key; and the bar of what can be done with them.

import { h, replace } from "../core/dom.js";
import { actionButton } from "../core/elements.js";
import { count, t } from "../core/i18n.js";
import { menuButton } from "../core/menu_button.js";
import { conversationName } from "./conversation_row.js";

/** `items()` are those that the list has. `actions` are `{ name, label, work(ids) }`: the first two stand as buttons, the others in a menu. */
export function inboxSelection({ items, actions, onChange }) {
  const selected = new Set();
  const said = h("span", { class: "selection-said", role: "status" });
  const all = h("button", { type: "button", class: "link-button", onclick: () => set(items().map(({ id }) => id), true) }, t("selection.all"));
  const none = h("button", { type: "button", class: "link-button", onclick: clear }, t("selection.none"));
  const commands = actions.map((each) => ({ ...each, work: () => each.work([...selected]) }));
  const buttons = commands.slice(0, 2).map(({ label, work }, index) => actionButton(label, work, { class: `button button-small ${index ? "button-secondary" : ""}` }));
  const tools = commands.length > 0 && h("div", { class: "selection-tools" }, buttons, menuButton(t("selection.more"), commands.slice(2)));
  const element = h("div", { class: "selection-bar", role: "group", "aria-label": t("selection.actions"), hidden: true }, h("p", {}, said, all, none), tools);
  let last = null;

  function draw() {
    element.hidden = selected.size === 0;
    replace(said, selected.size > 0 && count("selection.count", selected.size));
    onChange();
  }

  function set(ids, isSelected) {
    for (const id of ids) {
      if (isSelected) selected.add(id);
      else selected.delete(id);
    }
    draw();
  }

  function clear() {
    last = null;
    set([...selected], false);
  }

  /** All from the one that was last ticked to this one. */
  function through(id) {
    const ids = items().map((each) => each.id);
    const ends = [ids.indexOf(last), ids.indexOf(id)].sort((one, other) => one - other);
    return ends[0] < 0 ? [id] : ids.slice(ends[0], ends[1] + 1);
  }

  function toggle(id, isRange) {
    const isSelected = !selected.has(id);
    set(isRange && isSelected ? through(id) : [id], isSelected);
    last = id;
  }

  /** These are no longer meant, for example because they have left the list. */
  function drop(ids) {
    if (ids.some((id) => selected.has(id))) set(ids, false);
  }

  return {
    element,
    drop,
    ids: () => [...selected],
    count: () => selected.size,
    clear,
    toggle,
    /** The box of a row, or nothing for those who may change nothing. */
    box(conversation) {
      if (!commands.length) return null;
      const box = h("input", { type: "checkbox", "aria-label": t("selection.select", { name: conversationName(conversation) }) });
      box.addEventListener("click", (event) => toggle(conversation.id, event.shiftKey));
      return h("label", { class: "row-box" }, box);
    },
    mark(row, id, isTabStop) {
      row.classList.toggle("row-selected", selected.has(id));
      const box = row.querySelector(".row-box input");
      if (!box) return;
      box.checked = selected.has(id);
      box.tabIndex = isTabStop ? 0 : -1;
    },
  };
}
