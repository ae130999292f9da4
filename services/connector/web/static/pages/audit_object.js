// What an entry of the audit log or the read log is about: its kind and name, with a link to where it is.

import { h } from "../core/dom.js";
import { t } from "../core/i18n.js";
import { may } from "../core/session.js";

const ADDRESSES = {
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
  if (object.is_gone) return h("span", { class: "muted" }, t("audit.object.gone", { kind }));
  const words = object.name ? t("audit.object.named", { kind, name: object.name }) : kind;
  const address = ADDRESSES[object.kind]?.(object);
  return address ? h("a", { href: address }, words) : h("span", {}, words);
}
