// "/" leads to the first page that this user may see.

import { h, replace } from "../core/dom.js";
import { notice, pageHeading } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { may } from "../core/session.js";

export async function show({ main }) {
  if (may("inbox.messages", "view")) return navigate("/inbox", { replace: true });
  if (may("inbox.orders", "view")) return navigate("/orders", { replace: true });
  if (may("general.admin", "view")) return navigate("/integrations", { replace: true });
  replace(main, pageHeading(t("start.nothing.title")), notice("info", null, h("p", {}, t("start.nothing.text"))));
  return null;
}
