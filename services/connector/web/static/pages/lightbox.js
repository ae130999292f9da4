// One picture of a message, large, with the way to the ones beside it.

import { downloadUrl } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { size } from "../core/format.js";
import { t } from "../core/i18n.js";
import { pictureUrl } from "./attachments.js";

/** `pictures` are attachments; arrow keys walk through them, Escape closes, and the focus goes back to where it came from. */
export function lightbox(message, pictures, first) {
  const from = document.activeElement;
  const id = newId("lightbox");
  const name = h("h2", { id, class: "lightbox-name" });
  const place = h("div", { class: "lightbox-picture" });
  const about = h("p", { class: "muted", role: "status" });
  const download = h("a", { class: "button button-secondary button-small" }, t("picture.download"));
  const close = h("button", { type: "button", class: "button button-secondary button-small", onclick: () => dialog.close() }, t("common.close"));
  const step = (by, label, shape) => h("button", { type: "button", class: "button button-secondary button-small", "aria-label": label, title: label, onclick: () => show(at + by) }, shape);
  const steps = pictures.length > 1 && [step(-1, t("picture.previous"), "←"), step(1, t("picture.next"), "→")];
  const dialog = h(
    "dialog",
    { class: "dialog lightbox", "aria-labelledby": id },
    h("div", { class: "dialog-head" }, name, h("div", { class: "buttons" }, steps, download, close)),
    place,
    about,
  );
  let at = 0;

  function show(wanted) {
    at = (wanted + pictures.length) % pictures.length;
    const picture = pictures[at];
    const words = picture.filename || t("conversation.unnamed_file");
    replace(name, h("bdi", {}, words));
    download.href = downloadUrl(`/messages/${message.id}/attachments/${picture.id}`);
    download.download = picture.filename || "";
    const image = h("img", { src: pictureUrl(message, picture), alt: words });
    image.addEventListener("error", () => replace(place, h("p", {}, t("picture.not_shown"))));
    replace(place, image);
    about.textContent = [pictures.length > 1 && t("picture.position", { number: at + 1, count: pictures.length }), size(picture.size)].filter(Boolean).join(" · ");
  }

  dialog.addEventListener("keydown", (event) => {
    // The conversation behind has keys of its own.
    event.stopPropagation();
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.ctrlKey || event.altKey || event.metaKey || pictures.length < 2) return;
    event.preventDefault();
    show(at + by);
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    from?.focus({ preventScroll: true });
  });
  show(first);
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}
