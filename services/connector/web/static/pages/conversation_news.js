// What others have written while somebody writes: it is shown above their text, and nothing is sent until they have seen it.

import { h, replace } from "../core/dom.js";
import { actionButton, announce, notice } from "../core/elements.js";
import { dateTime } from "../core/format.js";
import { count, t } from "../core/i18n.js";
import { userId } from "../core/session.js";

const MOST_SHOWN = 3;

/**
 * `isWriting()`: whether there is something that could be sent. `seen()` is the version of the conversation that whoever writes has seen: a reply
 * is only sent to that one.
 */
export function conversationNews({ isWriting, onAcknowledged }) {
  const place = h("div", { class: "place" });
  let latest = { version: null, items: [] };
  let seen = null;
  let seenIds = null;
  let shown = "";

  function acknowledge() {
    seen = latest.version;
    seenIds = new Set(latest.items.map(({ id }) => id));
    shown = "";
    replace(place);
  }

  const isOthers = (item) => item.type !== "note" && !seenIds.has(item.id) && !(item.type === "reply" && item.written_by?.id === userId());

  /** The conversation was read: this version, with these items, the newest first. */
  function update(version, items) {
    latest = { version, items };
    if (!seenIds || !isWriting()) return acknowledge();
    const others = items.filter(isOthers);
    if (!others.length) return acknowledge();
    draw(others);
    return null;
  }

  function draw(others) {
    const ids = others.map(({ id }) => id).join();
    if (ids === shown) return;
    shown = ids;
    const title = count("news.title", others.length);
    const read = actionButton(t("news.read"), () => {
      acknowledge();
      onAcknowledged();
    }, { class: "button button-secondary button-small" });
    replace(place, h("div", { "data-testid": "news" }, notice("warning", title, others.slice(0, MOST_SHOWN).map(newItem), read)));
    announce(title);
  }

  return { element: place, update, acknowledge, seen: () => seen, isUnseen: () => shown !== "" };
}

function newItem(item) {
  const who = item.type === "reply" ? (item.written_by?.name ?? t("reply.your_team")) : item.sender_name || t("news.buyer");
  const at = item.type === "reply" ? item.created_at : item.received_at;
  return h("div", { class: "news-item" }, h("p", {}, h("strong", {}, h("bdi", {}, who)), " ", h("span", { class: "muted" }, dateTime(at))), h("p", { class: "news-text", dir: "auto" }, item.text ?? ""));
}
