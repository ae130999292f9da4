// The mails by which Amazon verifies the address: the seller waits for a code, and sees it here as soon as it comes.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { announce, copyButton, provenDownload, showProblem } from "../core/elements.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { may } from "../core/session.js";

export function verificationMails(integration, signal) {
  const place = h("div", { class: "verification-mails", "data-testid": "verification-mails" });
  // What is shown stays when it cannot be read again: somebody may be copying the code.
  const problemPlace = h("div", { class: "place" });
  // Not yet read; then the newest mail's id, or null while there is none.
  let shownId;

  async function refresh() {
    if (!may("inbox.messages", "view")) return replace(place, h("p", { class: "muted" }, t("verification.not_allowed")));
    try {
      const { items } = await get(`/integrations/${integration.id}/verification-mails`, signal);
      replace(problemPlace);
      const [first, ...older] = items;
      const newestId = first?.message_id ?? null;
      if (newestId === shownId) return;
      if (shownId !== undefined && first) announce(first.code ? t("verification.code.new", { code: first.code }) : t("verification.new"));
      shownId = newestId;
      replace(
        place,
        first ? mail(first) : h("p", { class: "waiting-for-mail" }, t("verification.none")),
        older.length > 0 && h("details", {}, h("summary", {}, t("verification.older")), older.map(mail)),
      );
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  return { element: h("section", { class: "verification" }, h("h4", {}, t("verification.title")), h("p", {}, t("verification.text")), problemPlace, place), refresh };
}

function mail({ message_id: id, received_at: at, subject, code, text }) {
  const shown = code && h("code", { class: "address", "data-testid": "verification-code" }, code);
  return h(
    "div",
    { class: "verification-mail" },
    shown ? h("div", { class: "address-line" }, h("span", {}, t("verification.code")), shown, copyButton(t("verification.copy"), shown)) : h("p", {}, t("verification.no_code")),
    h("p", { class: "muted" }, h("time", { datetime: at }, t("verification.at", { time: dateTime(at) })), subject && [" · ", h("bdi", {}, subject)]),
    h("details", {}, h("summary", {}, t("verification.whole")), h("div", { class: "message-text", dir: "auto" }, text), provenDownload(`/messages/${id}/raw`, `${id}.eml`, t("conversation.raw"))),
  );
}
