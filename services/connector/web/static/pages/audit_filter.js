// Which entries of a log are shown: by whom, what, from one day to another.

import { eachPage } from "../core/api.js";
import { h, newId } from "../core/dom.js";
import { startOfDay } from "../core/format.js";
import { keysBelow, t } from "../core/i18n.js";
import { may } from "../core/session.js";

// The first and the last day that the API accepts.
const FIRST_DAY = "2000-01-02";
const LAST_DAY = "8999-12-30";

/** A form that filters the audit log, and the query of its choices; calls `changed()` after each choice. */
export function auditFilter({ signal, changed }) {
  const actions = keysBelow("audit.action").map((action) => [action, t(`audit.action.${action}`)]);
  return logFilter({ signal, changed, who: "actor_id", what: "action", options: actions.sort(([, one], [, other]) => one.localeCompare(other)) });
}

/** The same for the read log. */
export function readFilter({ signal, changed }) {
  return logFilter({ signal, changed, who: "reader_id", what: "kind", options: keysBelow("reads.filter").map((kind) => [kind, t(`reads.filter.${kind}`)]) });
}

async function logFilter({ signal, changed, who, what, options }) {
  const users = [];
  const keys = [];
  await Promise.all([
    eachPage("/users?with_disabled=true&limit=100", signal, (items) => users.push(...items)),
    may("general.programs", "view") && eachPage("/api-keys?limit=100", signal, (items) => keys.push(...items)),
  ]);
  const known = [
    ...users.map((user) => [user.id, user.name]),
    ...keys.map((key) => [key.id, t("audit.actor.api_key", { name: key.name })]),
  ];
  // A link, such as that of a mail, may have chosen already.
  const asked = new URLSearchParams(location.search);
  const people = choice("who", known, asked.get(who));
  const kinds = choice("what", options, asked.get(what));
  const from = day("from");
  const to = day("to");
  let subject = asked.get("subject_id");
  const about = h("p", { class: "audit-about", hidden: !subject }, t("audit.filter.one_thing"));
  const fields = [people, kinds, from, to];

  return {
    element: h("form", { class: "audit-filter", role: "search", "aria-label": t("audit.filter"), onchange: choose, onsubmit: (event) => event.preventDefault() }, fields.map((field) => field.element), about),
    query() {
      const query = {
        [who]: people.input.value,
        [what]: kinds.input.value,
        subject_id: subject,
        since: from.input.value && from.input.checkValidity() && startOfDay(from.input.value).toISOString(),
        // The last day is included to its end.
        until: to.input.value && to.input.checkValidity() && startOfDay(to.input.value, 1).toISOString(),
      };
      return new URLSearchParams(Object.entries(query).filter(([, value]) => value));
    },
  };

  function choose() {
    // What somebody chooses here is not about the one thing that the link meant.
    subject = null;
    about.hidden = true;
    return changed();
  }
}

/** What a link has chosen stays chosen, also what is not known here, such as somebody who was removed: everything would pass for theirs. */
function choice(name, options, chosen) {
  const all = ["", t(`audit.filter.${name}_all`)];
  const ofLink = chosen && !options.some(([value]) => value === chosen) ? [[chosen, t(`audit.filter.${name}_of_link`)]] : [];
  const field = labelled(name, h("select", { class: "input", id: newId("audit") }, [all, ...options, ...ofLink].map(([value, text]) => h("option", { value }, text))));
  field.input.value = chosen ?? "";
  return field;
}

function day(name) {
  return labelled(name, h("input", { type: "date", class: "input", id: newId("audit"), min: FIRST_DAY, max: LAST_DAY }));
}

function labelled(name, input) {
  return { input, element: h("div", { class: "field" }, h("label", { for: input.id }, t(`audit.filter.${name}`)), input) };
}
