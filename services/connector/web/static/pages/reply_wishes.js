// What an agent can want of a reply that is on its way, or has not arrived.

import { post } from "../core/api.js";
import { h } from "../core/dom.js";
import { announce, confirmDialog } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { userId } from "../core/session.js";

/**
 * `act(send)` sends a wish and shows what came of it, or why not, and tells whether it was done; `onCanceled(reply)` shows the draft that a reply has become
 * again; `edit(reply)`, if there is a box, takes its text into it.
 */
export function replyWishes({ act, onCanceled, edit }) {
  const send = async (reply, wish, said) => {
    const isDone = await act(() => post(`/replies/${reply.id}/${wish}`));
    if (isDone) announce(said);
    return isDone;
  };
  return {
    edit,
    /** It is a draft of its writer's again. */
    async cancel(reply) {
      const isOwn = reply.written_by?.id === userId();
      const said = isOwn ? t("reply.said.canceled") : t("reply.said.canceled_for", { name: reply.written_by?.name ?? t("reply.your_team") });
      if ((await send(reply, "cancel", said)) && isOwn) await onCanceled(reply);
    },
    sendNow: (reply) => send(reply, "send-now", t("reply.said.queued")),
    dismiss: (reply) => send(reply, "dismiss", t("reply.said.left")),
    async sendAgain(reply) {
      if (reply.state === "perhaps_sent" && !(await mayArriveTwice())) return false;
      return send(reply, "send-again", t("reply.said.queued"));
    },
  };
}

function mayArriveTwice() {
  return confirmDialog({ title: t("reply.again.title"), content: h("p", {}, t("reply.again.text")), confirm: t("reply.send_again") });
}
