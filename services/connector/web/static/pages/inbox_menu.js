// The menu beside the inbox's heading: views of one's own, what is muted, what is told, and the keys.

import { h, replace } from "../core/dom.js";
import { announce, showProblem } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { menuButton } from "../core/menu_button.js";
import { loadLater, navigate } from "../core/router.js";
import { may } from "../core/session.js";
import { showShortcuts } from "./shortcuts.js";

/** `askedFor()` are the filters of this moment as the API takes them. `element` always offers what can be done with the view that is shown. */
export function inboxMenu({ askedFor, views, signal, problemPlace }) {
  const element = h("div", {});
  const dialogs = () => loadLater(() => import("./organize_dialogs.js"));

  function command(name, label, work) {
    return {
      name,
      label,
      async work() {
        try {
          await work(await dialogs());
        } catch (problem) {
          showProblem(problemPlace, problem);
        }
      },
    };
  }

  async function changed(said) {
    await views.readSaved();
    announce(said);
  }

  function entries() {
    const own = views.savedView();
    return [
      !own && command("save_view", t("views.save"), async ({ saveView }) => (await saveView(askedFor(), signal)) && changed(t("views.saved"))),
      own && command("rename_view", t("views.rename", { name: own.name }), async ({ renameView }) => (await renameView(own, signal)) && changed(t("views.saved"))),
      own && command("delete_view", t("views.delete", { name: own.name }), async ({ deleteView }) => {
        if (!(await deleteView(own, signal))) return;
        await changed(t("views.deleted"));
        await navigate("/inbox");
      }),
      may("inbox.messages", "edit") && command("mute", t("mute.open"), ({ mutedKinds }) => mutedKinds(signal)),
      command("tell", t("new_mail.open"), ({ askToTell }) => askToTell()),
      command("keys", t("shortcuts.title"), showShortcuts),
    ].filter(Boolean);
  }

  views.onShown(() => replace(element, menuButton(t("inbox.menu"), entries())));

  return { element, commands: () => entries().filter(({ name }) => name !== "keys").map(({ label, work }) => [label, work]) };
}
