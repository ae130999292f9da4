// Step 2, first half: choose the store's country, see what the choice covers, and open Amazon's window.

import { get } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { notice } from "../core/elements.js";
import { list } from "../core/format.js";
import { t } from "../core/i18n.js";
import { authorizeAtAmazon } from "./authorize.js";

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

  function chosenAnew() {
    replace(problemPlace);
    drawCovers();
  }

  function submit(event) {
    event.preventDefault();
    const marketplace = chosen();
    if (!marketplace) {
      replace(problemPlace, notice("bad", null, h("p", { role: "alert" }, t("wizard.choose_first"))));
      form.querySelector("input").focus();
      return;
    }
    authorizeAtAmazon({ country: marketplace.country }, { button, problemPlace, signal });
  }

  const form = h(
    "form",
    { class: "form", novalidate: true, onsubmit: submit, onchange: chosenAnew },
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
