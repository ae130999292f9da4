// What leads out of the quarantine, once somebody has confirmed that they know what it means.

import { post } from "../core/api.js";
import { h } from "../core/dom.js";
import { confirmDialog, tellDone } from "../core/elements.js";
import { t } from "../core/i18n.js";

/** A mailbox is the seller's own: whether that was confirmed, and is stored. */
export async function confirmMailbox(address, integrationId, signal) {
  const content = [1, 2, 3].map((number) => h("li", {}, t(`forwarding.confirm.text.${number}`)));
  const isConfirmed = await confirmDialog({ title: t("forwarding.confirm.title", { address }), content: h("ul", {}, content), confirm: t("forwarding.confirm") });
  if (!isConfirmed) return false;
  await post(`/integrations/${integrationId}/forwarded-mailboxes`, { address }, signal);
  tellDone(t("forwarding.confirmed"));
  return true;
}

/** A message goes to the inbox though nothing proves it; `reopen(id)` shows the conversation that it is in then. */
export async function releaseMessage(messageId, { signal, reopen }) {
  const content = [1, 2, 3].map((number) => h("li", {}, t(`release.text.${number}`)));
  const isConfirmed = await confirmDialog({ title: t("release.title"), content: h("ul", {}, content), confirm: t("release.confirm") });
  if (!isConfirmed) return;
  const { id } = await post(`/messages/${messageId}/release`, undefined, signal);
  await reopen(id);
  tellDone(t("release.done"));
}
