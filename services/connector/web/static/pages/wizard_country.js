// Step 2, first half: choose the store's country, see what the choice covers, and open Amazon's window.

import { get } from "../core/api.js";
import { meantCountries } from "../core/country_search.js";
import { h, newId, replace } from "../core/dom.js";
import { notice } from "../core/elements.js";
import { list } from "../core/format.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { authorizeAtAmazon } from "./authorize.js";
import { consentLink } from "./consent_link.js";

const REGIONS = ["eu", "na", "fe"];
// The stores that most sellers have, each with what it covers besides.
const MAIN = ["DE", "US", "AU"];
const OF_LANGUAGE = { de: "DE", fr: "FR", it: "IT", es: "ES", nl: "NL", pl: "PL", sv: "SE", ja: "JP", tr: "TR" };
const OF_ZONE = { "Europe/Berlin": "DE", "Europe/Vienna": "DE", "Europe/Zurich": "DE", "Europe/London": "GB", "Europe/Paris": "FR", "Europe/Rome": "IT", "Europe/Madrid": "ES", "Europe/Amsterdam": "NL", "Europe/Warsaw": "PL", "Europe/Stockholm": "SE", "Asia/Tokyo": "JP", "Asia/Singapore": "SG" };

/** The countries that this browser's languages and clock speak for. */
function likelyCountries() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const ofZone = OF_ZONE[zone] ?? (zone.startsWith("America/") ? "US" : zone.startsWith("Australia/") ? "AU" : null);
  const ofLanguages = navigator.languages.flatMap((tag) => [tag.split("-")[1]?.toUpperCase(), OF_LANGUAGE[tag.split("-")[0]]]);
  return [...ofLanguages, ofZone].filter(Boolean);
}

export async function countryStep(place, signal, { country, region }) {
  const [marketplaces, integrations] = await Promise.all([get("/marketplaces", signal), get("/integrations?limit=1", signal)]);
  const items = marketplaces.items;
  const covers = h("div", { class: "covers", role: "status" });
  const problemPlace = h("div", { class: "place" });
  const button = h("button", { type: "submit", class: "button" }, t("wizard.authorize"));
  const chosen = () => items.find((each) => each.country === form.elements.country.value);
  const isThere = (code) => items.some((each) => each.country === code);
  const likely = [...new Set(likelyCountries().filter(isThere))].slice(0, 2);
  const first = [...new Set([...likely, ...MAIN.filter(isThere)])];
  // The first ones are here, too: whoever looks for one of them finds it.
  const rest = REGIONS.map((each) => regionGroup(each, items, { first, country })).filter(Boolean);
  const noneFound = h("p", { class: "muted", role: "status" });

  function drawCovers() {
    const marketplace = chosen();
    replace(
      covers,
      h("p", {}, marketplace ? t("wizard.covers", { country: marketplace.name }) : t("wizard.covers_nothing")),
      marketplace && h("p", { class: "covered" }, list(marketplace.covers.map((each) => each.name))),
    );
  }

  function chosenAnew(event) {
    if (event.target.name !== "country") return;
    replace(problemPlace);
    linkForOthers.clear();
    drawCovers();
  }

  function search() {
    const isSearched = Boolean(searchField.value.trim());
    const meant = meantCountries(items, searchField.value);
    for (const group of rest) {
      const choices = [...group.querySelectorAll(".country")];
      for (const choice of choices) {
        const input = choice.querySelector("input");
        choice.hidden = isSearched ? !meant.includes(input.value) : first.includes(input.value);
        // What is chosen here stays chosen above, where it is seen without a search.
        if (choice.hidden && input.checked && first.includes(input.value)) firstChoice(input.value).checked = true;
      }
      group.hidden = choices.every((choice) => choice.hidden);
    }
    noneFound.textContent = isSearched && !meant.length ? t("wizard.country.none_found") : "";
  }

  const firstChoice = (code) => form.querySelector(`.country-grid-main input[value="${code}"]`);

  /** Enter takes the first country that is found; it sends nothing yet. */
  function takeFirst(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (searchField.value.trim()) others.querySelector(".countries:not([hidden]) .country:not([hidden]) input")?.click();
  }

  function ask() {
    replace(problemPlace, notice("bad", null, h("p", { role: "alert" }, t("wizard.choose_first"))));
    form.querySelector("input[name=country]").focus();
  }

  function submit(event) {
    event.preventDefault();
    const marketplace = chosen();
    if (!marketplace) return ask();
    return authorizeAtAmazon({ country: marketplace.country }, { button, problemPlace, signal });
  }

  function withoutApi() {
    const marketplace = chosen();
    if (!marketplace) return ask();
    return navigate(`/integrations/new?source=amazon&country=${marketplace.country}&api=none`);
  }

  const searchField = h("input", { type: "search", class: "input country-search", "aria-label": t("wizard.country.search"), placeholder: t("wizard.country.search"), oninput: search, onkeydown: takeFirst });
  const linkForOthers = consentLink(() => chosen() && { country: chosen().country }, signal);
  const isElsewhere = region || (country && !first.includes(country));
  const others = h("details", { class: "country-others", open: Boolean(isElsewhere) }, h("summary", {}, t("wizard.country.others")), searchField, h("div", { class: "country-rest" }, rest, noneFound));
  const form = h(
    "form",
    { class: "form", novalidate: true, onsubmit: submit, onchange: chosenAnew },
    h("fieldset", { class: "countries" }, h("legend", {}, t("wizard.country.main")), h("div", { class: "country-grid country-grid-main" }, first.map((code) => items.find((each) => each.country === code)).map((each) => countryChoice(each, country, coversInShort(each))))),
    others,
    covers,
    integrations.items.length > 0 && signOutHint(),
    problemPlace,
    h("p", { class: "hint" }, t("wizard.authorize_hint")),
    button,
    h("details", {}, h("summary", {}, t("wizard.without_api.title")), h("p", {}, t("wizard.without_api.text")), h("button", { type: "button", class: "button button-secondary", onclick: withoutApi }, t("wizard.without_api.button"))),
    linkForOthers.element,
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

/** What a country covers, in a few words, as far as one sentence is true of it. */
function coversInShort({ country, region }) {
  if (region === "eu") return t("wizard.main.eu");
  return MAIN.includes(country) ? t(`wizard.main.${country}`) : null;
}

/** All countries of a region; those that stand above are seen only when they are looked for. */
function regionGroup(region, items, { first, country }) {
  const countries = items.filter((each) => each.region === region).sort((a, b) => a.name.localeCompare(b.name));
  if (!countries.length) return null;
  const choices = countries.map((each) => {
    const isAbove = first.includes(each.country);
    const choice = countryChoice(each, isAbove ? null : country);
    choice.hidden = isAbove;
    return choice;
  });
  return h(
    "fieldset",
    { class: "countries", hidden: choices.every((choice) => choice.hidden) },
    h("legend", {}, t(`region.${region}`)),
    h("div", { class: "country-grid" }, choices),
  );
}

function countryChoice(marketplace, preselected, description = null) {
  const id = newId("country");
  return h(
    "div",
    { class: "country" },
    h("input", { type: "radio", name: "country", id, value: marketplace.country, checked: marketplace.country === preselected, "aria-labelledby": `${id}-name`, "aria-describedby": description && `${id}-covers` }),
    h("label", { for: id }, h("span", {}, h("span", { id: `${id}-name` }, marketplace.name), description && h("span", { class: "country-covers", id: `${id}-covers` }, description))),
  );
}

function signOutHint() {
  return notice("info", t("wizard.sign_out_first.title"), h("p", {}, t("wizard.sign_out_first.text")));
}
