// Settings → users: who is in the account, what they may do, and who is invited.

import { eachPage, get, post, remove } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { latest } from "../core/latest.js";
import { loadSession, may, userId } from "../core/session.js";
import { settingsTabs } from "./settings.js";
import { AREAS, inviteDialog, permissionsDialog, removeDialog } from "./users_dialogs.js";

export async function show({ main, signal }) {
  const mayEdit = may("general.admin", "edit");
  const said = h("div", { class: "place" });
  const people = h("ul", { class: "rows", "aria-label": t("users.title") });
  const invited = h("div", { class: "place" });
  let users = [];
  const asking = latest();

  async function refresh() {
    const isLatest = asking();
    const all = [];
    const everybody = eachPage("/users?with_disabled=true&limit=100", signal, (items) => all.push(...items));
    const [invitations] = await Promise.all([get("/invitations", signal), everybody]);
    if (!isLatest()) return;
    users = all;
    replace(people, users.map(userRow));
    replace(invited, invitations.items.length ? h("ul", { class: "rows", "aria-labelledby": "invitations" }, invitations.items.map(invitationRow)) : h("p", { class: "muted" }, t("users.no_invitations")));
  }

  const tell = (problem) => elements.showProblem(said, problem);

  /** Does it, says so, and shows what is true now. */
  async function change(work, done) {
    try {
      await work();
      replace(said);
      elements.tellDone(done);
      await refresh();
      // Perhaps it was one's own permissions.
      await loadSession();
    } catch (problem) {
      tell(problem);
    }
  }

  async function disable(user) {
    const isSure = await elements.confirmDialog({ title: t("users.disable_title", { name: user.name }), content: h("p", {}, t("users.disable_text")), confirm: t("users.disable") });
    if (isSure) await change(() => post(`/users/${user.id}/disable`, {}, signal), t("users.disabled_done", { name: user.name }));
  }

  async function untie(user) {
    const isSure = await elements.confirmDialog({ title: t("users.untie_title", { name: user.name }), content: h("p", {}, t("users.untie_text")), confirm: t("users.untie") });
    if (isSure) await change(() => remove(`/users/${user.id}/single-sign-on`, signal), t("users.untied_done", { name: user.name }));
  }

  async function edit(user) {
    if (await permissionsDialog(user, signal).catch(tell)) await change(() => null, t("users.changed_done", { name: user.name }));
  }

  async function leave(user) {
    if (await removeDialog(user, users, signal).catch(tell)) await change(() => null, t("users.removed_done", { name: user.name }));
  }

  async function invite() {
    const email = await inviteDialog(signal);
    if (email) await change(() => null, t("users.invited_done", { email }));
  }

  function userRow(user) {
    const isActive = user.status === "active";
    const button = (key, work, danger = false) => elements.actionButton(t(`users.${key}`), work, { class: danger ? "button button-danger button-small" : "button button-secondary button-small", "aria-label": t(`users.${key}_named`, { name: user.name }) });
    const facts = [
      user.id === userId() && t("users.you"),
      !isActive && t("users.disabled"),
      user.has_second_factor ? t("users.second_factor_on") : t("users.second_factor_off"),
      user.has_company_account && t("users.company_account"),
      user.last_seen_at ? t("users.last_seen", { when: dateTime(user.last_seen_at) }) : t("users.not_signed_in"),
    ].filter(Boolean);
    return h(
      "li",
      { class: "row", "data-testid": "user" },
      h("div", {}, h("p", { class: "row-title" }, user.name), h("p", { class: "muted" }, h("bdi", {}, user.email)), permissionLine(user.permissions), h("p", { class: "muted" }, facts.join(" · "))),
      mayEdit &&
        h(
          "div",
          { class: "buttons" },
          button("change", () => edit(user)),
          isActive ? button("disable", () => disable(user)) : button("enable", () => change(() => post(`/users/${user.id}/enable`, {}, signal), t("users.enabled_done", { name: user.name }))),
          user.has_company_account && button("untie", () => untie(user)),
          button("remove", () => leave(user), true),
        ),
    );
  }

  function invitationRow(invitation) {
    const named = { "aria-label": t("users.send_again_named", { email: invitation.email }), class: "button button-secondary button-small" };
    return h(
      "li",
      { class: "row", "data-testid": "invitation" },
      h(
        "div",
        {},
        h("p", { class: "row-title" }, h("bdi", {}, invitation.email)),
        permissionLine(invitation.permissions),
        h("p", { class: "muted" }, t(invitation.is_expired ? "users.invitation_expired" : "users.invitation_until", { when: dateTime(invitation.expires_at) })),
      ),
      mayEdit &&
        h(
          "div",
          { class: "buttons" },
          elements.actionButton(t("users.send_again"), () => change(() => post(`/invitations/${invitation.id}/send`, {}, signal), t("users.invited_done", { email: invitation.email })), named),
          elements.actionButton(t("users.withdraw"), () => change(() => remove(`/invitations/${invitation.id}`, signal), t("users.withdrawn_done", { email: invitation.email })), { class: "button button-danger button-small", "aria-label": t("users.withdraw_named", { email: invitation.email }) }),
        ),
    );
  }

  await refresh();
  replace(
    main,
    settingsTabs(),
    elements.pageHeading(t("users.title")),
    h("p", { class: "lead" }, t("users.lead")),
    mayEdit && h("div", { class: "buttons" }, elements.actionButton(t("users.invite"), invite, { class: "button" })),
    said,
    people,
    h("section", { class: "section" }, h("h2", { id: "invitations" }, t("users.invitations")), invited),
  );
  return null;
}

function permissionLine(permissions) {
  const words = AREAS.filter(({ area }) => permissions[area] !== "none").map(({ area, key }) => `${t(`users.area.${key}`)}: ${t(`users.level.${key}.${permissions[area]}`)}`);
  return h("p", {}, words.length ? words.join(" · ") : t("users.may_nothing"));
}
