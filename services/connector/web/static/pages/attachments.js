// A message's files: what they are, how large, and what must not be opened. Pictures are seen as such.

import { downloadUrl } from "../core/api.js";
import { h, svg } from "../core/dom.js";
import { announce, problemTexts } from "../core/elements.js";
import { size } from "../core/format.js";
import { t } from "../core/i18n.js";
import { loadLater } from "../core/router.js";

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
// What every browser shows and the API gives out as a picture. More at once than so many, or larger ones, are files like others.
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const MOST_PICTURES = 12;
const MOST_PICTURE_BYTES = 10 * 1024 * 1024;
const SHEET = "M6 2.5h8l4 4v15H6z M14 2.5v4h4";
const SHAPES = {
  image: "M4 5h16v14H4z M4 16l5-5 4 4 3-3 4 4 M15.5 9h.1",
  program: "M12 3l9.5 17h-19z M12 10v4.5 M12 17.2v.1",
  archive: `${SHEET} M10 6h2 M10 9h2 M10 12h2`,
};

/** The address of a picture among the attachments of a message, for an `<img>`. */
export const pictureUrl = (message, { id }) => downloadUrl(`/messages/${message.id}/attachments/${id}/picture`);

export function attachments(message) {
  if (!message.attachments.length) return null;
  const pictures = message.attachments.filter(isPicture).slice(0, MOST_PICTURES);
  return [
    pictures.length > 0 && h("ul", { class: "thumbnails", "aria-label": t("picture.all") }, pictures.map((picture, at) => h("li", {}, thumbnail(message, pictures, at)))),
    h("ul", { class: "attachments", "aria-label": t("conversation.attachments") }, message.attachments.map((attachment) => row(message, attachment))),
  ];
}

const isPicture = ({ sniffed_type: type, scan, size: bytes }) => PICTURES.includes(type) && scan !== "infected" && bytes <= MOST_PICTURE_BYTES;

/** A button with the picture, which the browser fetches when it comes into view. What the API does not show as a picture has its row alone. */
function thumbnail(message, pictures, at) {
  const name = pictures[at].filename || t("conversation.unnamed_file");
  const image = h("img", { src: pictureUrl(message, pictures[at]), alt: "", loading: "lazy", decoding: "async" });
  const button = h("button", { type: "button", class: "thumbnail", "aria-label": t("picture.open", { name }), title: name, onclick: () => enlarge(message, pictures, at) }, image);
  image.addEventListener("error", () => (button.parentElement.hidden = true));
  return button;
}

async function enlarge(message, pictures, at) {
  try {
    const { lightbox } = await loadLater(() => import("./lightbox.js"));
    lightbox(message, pictures, at);
  } catch (problem) {
    announce(problemTexts(problem).title);
  }
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
