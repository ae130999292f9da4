// Step 2, first half: choose the store's country, see what the choice covers, and open Amazon's window.

import { get, post } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { busy, notice, showProblem } from "../core/elements.js";
import { list } from "../core/format.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";

const REGIONS = ["eu", "na", "fe"];

export async function countryStep(place, signal, { country, region }) {
  const [marketplaces, integrations] = await Promise.all([get("/marketplaces", signal), get("/integrations?limit=1", signal)]);
  const items = marketplaces.items;
  const covers = h("div", { class: "covers", role: "status" });
  const problemPlace = h("div", { class: "place" });
  const button = h("button", { type: "submit", class: "button" }, t("wizard.authorize"));
  const chosen = () => items.find((each) => each.country === form.elements.country.value);

  function drawCovers() {
    const marketplace = chosen();
    replace(
      covers,
      marketplace && h("p", {}, t("wizard.covers", { country: marketplace.name })),
      marketplace && h("p", { class: "covered" }, list(marketplace.covers.map((each) => each.name))),
    );
  }

  function submit(event) {
    event.preventDefault();
    const marketplace = chosen();
    if (!marketplace) {
      replace(problemPlace, notice("bad", null, h("p", { role: "alert" }, t("wizard.choose_first"))));
      form.querySelector("input").focus();
      return;
    }
    // Opened within the click, before the API has answered: later a browser takes it for an unwanted pop-up.
    const amazonWindow = openWaitingWindow();
    busy(button, () => authorize(marketplace, amazonWindow));
  }

  async function authorize(marketplace, amazonWindow) {
    let attempt;
    try {
      attempt = await post("/authorizations", { country: marketplace.country }, signal);
    } catch (problem) {
      amazonWindow?.close();
      showProblem(problemPlace, problem);
      return;
    }
    if (amazonWindow && !amazonWindow.closed) amazonWindow.location.replace(attempt.consent_url);
    await navigate(`/integrations/new?attempt=${attempt.id}`, { state: { isBlocked: !amazonWindow } });
  }

  const form = h(
    "form",
    { class: "form", novalidate: true, onsubmit: submit, onchange: drawCovers },
    REGIONS.map((each) => regionGroup(each, items, country)),
    covers,
    integrations.items.length > 0 && signOutHint(),
    problemPlace,
    h("p", { class: "hint" }, t("wizard.authorize_hint")),
    button,
  );
  replace(
    place,
    h("h2", { tabindex: "-1" }, t("wizard.country.title")),
    h("p", {}, t("wizard.country.text")),
    region && REGIONS.includes(region) && notice("info", null, h("p", {}, t("wizard.country.other_region", { region: t(`region.${region}`) }))),
    form,
  );
  drawCovers();
}

function openWaitingWindow() {
  const opened = window.open("", "_blank");
  if (!opened) return null;
  opened.document.title = t("wizard.opening");
  opened.document.body.textContent = t("wizard.opening");
  // Amazon's page gets no hold on ours.
  opened.opener = null;
  return opened;
}

function regionGroup(region, items, preselected) {
  const countries = items.filter((each) => each.region === region).sort((a, b) => a.name.localeCompare(b.name));
  if (!countries.length) return null;
  return h(
    "fieldset",
    { class: "countries" },
    h("legend", {}, t(`region.${region}`)),
    h("div", { class: "country-grid" }, countries.map((each) => countryChoice(each, preselected))),
  );
}

function countryChoice(marketplace, preselected) {
  const id = newId("country");
  return h(
    "div",
    { class: "country" },
    h("input", { type: "radio", name: "country", id, value: marketplace.country, checked: marketplace.country === preselected }),
    h("label", { for: id }, marketplace.name),
  );
}

function signOutHint() {
  return notice("info", t("wizard.sign_out_first.title"), h("p", {}, t("wizard.sign_out_first.text")));
}
