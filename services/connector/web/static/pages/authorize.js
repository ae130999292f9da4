// Begins an attempt to authorize and opens Amazon's window, in one click: for a country, or for the integration that it renews.

import { post } from "../core/api.js";
import { h } from "../core/dom.js";
import { busy, showProblem } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";

/** Must be called within a click. `body` is `{country}`, `{integration_id}` or `{link}`; afterwards the page that follows the attempt is shown. */
export function authorizeAtAmazon(body, { button, problemPlace, signal }) {
  // Opened within the click, before the API has answered: later a browser would block it as a pop-up.
  const amazonWindow = openWaitingWindow();
  return busy(button, () => begin(body, amazonWindow, problemPlace, signal));
}

/** The button that authorizes an integration: again, or for the first time if it was added without the API. */
export function reauthorizeButton(integration, problemPlace, signal, { isFirst = true, className = isFirst ? "button" : "button button-secondary" } = {}) {
  const click = () => authorizeAtAmazon({ integration_id: integration.id }, { button, problemPlace, signal });
  const button = h("button", { type: "button", class: className, onclick: click }, t(integration.uses_api ? "integration.reauthorize" : "integration.authorize"));
  return button;
}

async function begin(body, amazonWindow, problemPlace, signal) {
  let attempt;
  try {
    attempt = await post("/authorizations", body, signal);
  } catch (problem) {
    amazonWindow?.close();
    showProblem(problemPlace, problem);
    return;
  }
  if (amazonWindow && !amazonWindow.closed) amazonWindow.location.replace(attempt.consent_url);
  await navigate(`/integrations/new?attempt=${attempt.id}`, { state: { isBlocked: !amazonWindow } });
}

function openWaitingWindow() {
  const opened = window.open("", "_blank");
  if (!opened) return null;
  opened.document.title = t("wizard.opening");
  opened.document.body.textContent = t("wizard.opening");
  // Amazon's page must not be able to navigate ours.
  opened.opener = null;
  return opened;
}
