// A message's files: what they are, how large, and what must not be opened.

import { downloadUrl } from "../core/api.js";
import { h, svg } from "../core/dom.js";
import { size } from "../core/format.js";
import { t } from "../core/i18n.js";

// Chosen by the type of the bytes, if it is known, else by the declared one; the first that fits.
const TYPES = [
  ["image", /^image\//],
  ["pdf", /^application\/pdf$/],
  ["audio", /^audio\//],
  ["video", /^video\//],
  ["mail", /^message\//],
  ["archive", /zip|compressed|x-tar|x-7z|x-rar|gzip/],
  ["table", /spreadsheet|excel|csv/],
  ["document", /word|opendocument\.text|rtf/],
  ["program", /executable|msdownload|x-sh|javascript|x-dosexec/],
  ["text", /^text\//],
];
const SHEET = "M6 2.5h8l4 4v15H6z M14 2.5v4h4";
const SHAPES = {
  image: "M4 5h16v14H4z M4 16l5-5 4 4 3-3 4 4 M15.5 9h.1",
  program: "M12 3l9.5 17h-19z M12 10v4.5 M12 17.2v.1",
  archive: `${SHEET} M10 6h2 M10 9h2 M10 12h2`,
};

export function attachments(message) {
  if (!message.attachments.length) return null;
  return h("ul", { class: "attachments", "aria-label": t("conversation.attachments") }, message.attachments.map((attachment) => row(message, attachment)));
}

function row(message, attachment) {
  const type = typeOf(attachment);
  const name = h("bdi", {}, attachment.filename || t("conversation.unnamed_file"));
  const isInfected = attachment.scan === "infected";
  const about = [t(`file.${type}`), size(attachment.size), attachment.inline && t("file.inline")].filter(Boolean).join(" · ");
  return h(
    "li",
    { class: isInfected ? "attachment attachment-infected" : "attachment", "data-testid": "attachment" },
    svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: SHAPES[type] ?? SHEET })),
    h(
      "div",
      {},
      isInfected
        ? h("span", { class: "attachment-name" }, name)
        : h("a", { href: downloadUrl(`/messages/${message.id}/attachments/${attachment.id}`), download: attachment.filename || "" }, name),
      h("span", { class: "muted" }, ` ${about}`),
      isInfected && h("p", { class: "tone-bad" }, t("file.infected")),
      attachment.scan === "failed" && h("p", { class: "muted" }, t("file.not_scanned")),
    ),
  );
}

function typeOf(attachment) {
  const type = attachment.sniffed_type || attachment.content_type;
  return TYPES.find(([, pattern]) => pattern.test(type))?.[0] ?? "other";
}
