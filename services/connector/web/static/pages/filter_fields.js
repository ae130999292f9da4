// The fields of the inbox's box of filters.

import { get } from "../core/api.js";
import { append, h, newId } from "../core/dom.js";
import { language, t } from "../core/i18n.js";
import { assignees, stores, tags } from "./inbox_choices.js";
import { FILTERS, goTo, inView, VIEWS } from "./inbox_filters.js";

const KINDS = ["buyer_message", "order_notice", "claim_notice", "return_notice", "delivery_failure", "reply_confirmation", "verification", "auto_reply", "other", "unparseable"];

/** They are there at once, with what is always the same to choose from; `read()` fetches the rest, and `show(filters)` says what is chosen. */
export function filterFields(current, signal) {
  const change = (name, value) => goTo({ ...current(), [name]: value });
  // Whoever asks for somebody's leaves the view of one's own.
  const changeAssignee = (value) => goTo({ ...(VIEWS[current().view].assignee ? inView(current(), "open") : current()), assignee: value });
  const any = ["", t("inbox.filter.any")];
  const fields = Object.fromEntries(Object.keys(FILTERS).map((name) => [name, choice(t(`inbox.filter.${name}`), [any], name === "assignee" ? changeAssignee : (value) => change(name, value))]));
  fields.kind.add(KINDS.map((kind) => [kind, t(`kind.${kind}`)]));
  fields.sort = choice(t("inbox.sort"), ["newest", "due"].map((sort) => [sort, t(`inbox.sort.${sort}`)]), (value) => change("sort", value));

  async function read() {
    const [ofStores, ofPeople, ofTags, countries] = await Promise.all([stores(signal), assignees(signal), tags(signal), readCountries(signal)]);
    fields.integration.add(ofStores.map((each) => [each.id, each.name ?? t("integrations.unnamed")]));
    fields.assignee.add([["me", t("inbox.assignee.me")], ["nobody", t("inbox.assignee.nobody")], ...ofPeople.map((each) => [each.id, each.name])]);
    fields.tag.add(ofTags.map((each) => [each.id, each.name]));
    fields.country.add(countries);
  }

  function show(filters) {
    const shown = { ...filters, assignee: VIEWS[filters.view].assignee ?? filters.assignee };
    for (const [name, field] of Object.entries(fields)) field.select.value = shown[name];
    // Nothing to choose between: one store, or nobody has tags.
    for (const [name, fewest] of [["integration", 3], ["tag", 2]]) fields[name].element.hidden = fields[name].select.length < fewest;
  }

  return { elements: Object.values(fields).map((field) => field.element), read, show };
}

async function readCountries(signal) {
  const { items } = await get("/marketplaces", signal);
  return items.map((each) => [each.country, each.name]).sort(([, one], [, other]) => one.localeCompare(other, language()));
}

function choice(label, options, onChosen) {
  const id = newId("filter");
  const select = h("select", { id, class: "input" });
  const add = (more) => append(select, more.map(([value, text]) => h("option", { value }, text)));
  add(options);
  select.addEventListener("change", () => onChosen(select.value));
  return { select, add, element: h("div", { class: "field" }, h("label", { for: id }, label), select) };
}
