// What an entry of the audit log or the read log is about: its kind and name, with a link to where it is.

import { h } from "../core/dom.js";
import { t, textParts } from "../core/i18n.js";
import { may } from "../core/session.js";

const ADDRESSES = {
  invitation: () => may("general.admin", "view") && "/settings/users",
  user: () => may("general.admin", "view") && "/settings/users",
  api_key: () => may("general.programs", "view") && "/settings/api-keys",
  reader: (object) => may("general.admin", "view") && `/settings/read-log?reader_id=${object.id}`,
  integration: (object) => may("general.admin", "view") && `/integrations/${object.id}`,
  conversation: (object) => object.conversation_id && `/inbox/${object.conversation_id}`,
  message: (object) => object.conversation_id && `/inbox/${object.conversation_id}`,
  order: (object) => object.name && `/orders/${object.id}`,
  reply_template: (object) => object.name && "/settings/templates",
  webhook: () => may("general.admin", "edit") && "/settings/webhooks",
};

/** The object of an entry; nothing for an entry that is about none. */
export function objectOf(object) {
  if (!object) return null;
  const kind = t(`audit.object.${object.kind}`);
  // Apart from the text around it, whatever direction its letters have.
  const words = object.name ? textParts("audit.object.named", { kind, name: h("bdi", {}, object.name) }) : kind;
  // Accepted, withdrawn or over: all of it ends an invitation.
  if (object.is_gone && object.kind === "invitation") return h("span", { class: "muted" }, t("audit.object.gone_invitation"));
  if (object.is_gone) return h("span", { class: "muted" }, textParts("audit.object.gone", { kind: words }));
  const address = ADDRESSES[object.kind]?.(object);
  return address ? h("a", { href: address }, words) : h("span", {}, words);
}
