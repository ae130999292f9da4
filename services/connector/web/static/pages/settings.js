// The pages of the settings that this user may see. The address /settings leads to the first of them.

import { h } from "../core/dom.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { may } from "../core/session.js";

const PAGES = {
  "/settings/users": { title: "users.title", needs: ["general.admin", "view"] },
  "/settings/api-keys": { title: "api_keys.title", needs: ["general.programs", "view"] },
  // A webhook's address often has a password in its query, so only people who may change webhooks see them.
  "/settings/webhooks": { title: "webhooks.title", needs: ["general.programs", "edit"] },
  "/settings/audit-log": { title: "audit.title", needs: ["general.admin", "view"] },
  "/settings/read-log": { title: "reads.title", needs: ["general.admin", "view"] },
  "/settings/retention": { title: "retention.title", needs: ["general.admin", "view"] },
  "/settings/account": { title: "account.title", needs: ["general.admin", "view"] },
  "/settings/security": { title: "security.title", needs: ["general.admin", "view"] },
  "/settings/company-account": { title: "company.title", needs: ["general.admin", "view"] },
  "/settings/templates": { title: "templates.title", needs: ["inbox.messages", "view"] },
  "/settings/tags": { title: "tags.title", needs: ["inbox.messages", "view"] },
};

const shown = () => Object.keys(PAGES).filter((address) => may(...PAGES[address].needs));

/** Whether there is a page for this user. */
export const hasSettings = () => shown().length > 0;

export async function show() {
  await navigate(shown()[0], { replace: true });
  return null;
}

/** Links from one page of the settings to the others. */
export function settingsTabs() {
  const links = shown().map((address) => h("li", {}, h("a", { href: address, "aria-current": address === location.pathname ? "page" : null }, t(PAGES[address].title))));
  return h("nav", { class: "tabs", "aria-label": t("header.settings") }, h("ul", {}, links));
}
