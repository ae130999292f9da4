// The company's mail domains, and the records in their DNS that say so.

import { post, remove } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { focusUnlessTyping } from "../core/focus.js";
import { t } from "../core/i18n.js";

const PATH = "/account/single-sign-on/domains";

export function domainsSection(domains, { isFixed, signal }) {
  const said = h("div", { class: "place", role: "status" });
  const list = h("ul", { class: "rows", "aria-label": t("company.domains") });
  const entered = elements.field(t("company.domain"), { name: "domain", autocomplete: "off", spellcheck: "false", autocapitalize: "none", inputmode: "url", maxlength: 253 }, t("company.domain_hint"));
  const button = h("button", { type: "submit", class: "button button-secondary" }, t("company.add_domain"));

  const draw = (found) => replace(list, found.map(row));

  function show(found) {
    domains = found;
    draw(found);
  }

  /** Does what answers the domains as they are then; says what went wrong. */
  async function change(work) {
    replace(said);
    try {
      draw((await work()).domains);
      return true;
    } catch (problem) {
      elements.showProblem(said, problem);
      return false;
    }
  }

  async function drop(domain) {
    const isDone = await change(async () => {
      await remove(`${PATH}/${domain.id}`, signal);
      domains = domains.filter((each) => each.id !== domain.id);
      return { domains };
    });
    if (isDone) elements.tellDone(t("company.domain_removed", { domain: domain.domain }));
  }

  async function prove(domain) {
    const isDone = await change(async () => {
      const answer = await post(`${PATH}/${domain.id}/proof`, undefined, signal);
      domains = answer.domains;
      return answer;
    });
    if (isDone) elements.tellDone(t("company.domain_proven_done", { domain: domain.domain }));
  }

  function row(domain) {
    const value = h("code", { class: "address address-small" }, domain.record_value);
    const record = domain.proven_at
      ? h("p", { class: "tone-good" }, t("company.domain_proven"))
      : h(
          "div",
          {},
          h("p", {}, t("company.domain_open")),
          h("dl", { class: "company-record" }, h("dt", {}, t("company.record_name")), h("dd", {}, h("code", {}, domain.record_name)), h("dt", {}, t("company.record_value")), h("dd", { class: "address-line" }, value, elements.copyButton(t("company.copy_value", { domain: domain.domain }), value))),
          !isFixed && elements.actionButton(t("company.prove"), () => prove(domain), { class: "button button-small", "aria-label": t("company.prove_named", { domain: domain.domain }) }),
        );
    const gone = !isFixed && elements.actionButton(t("company.remove_domain"), () => drop(domain), { class: "button button-danger button-small", "aria-label": t("company.remove_domain_named", { domain: domain.domain }) });
    return h("li", { class: "row", "data-testid": "company-domain" }, h("div", {}, h("p", { class: "row-title" }, domain.domain), record), gone);
  }

  async function add() {
    const typed = entered.input.value.trim();
    entered.setError(typed ? null : t("company.domain_missing"));
    if (!typed) return entered.input.focus();
    const isDone = await change(async () => {
      const answer = await post(PATH, { domain: typed }, signal);
      domains = answer.domains;
      return answer;
    });
    if (isDone && entered.input.value.trim() === typed) entered.input.value = "";
    focusUnlessTyping(entered.input);
  }

  function submit(event) {
    event.preventDefault();
    return elements.busy(button, add);
  }

  draw(domains);
  const form = !isFixed && h("form", { class: "form", novalidate: true, onsubmit: submit }, entered.element, button);
  const element = h("section", { class: "card section" }, h("h2", {}, t("company.domains")), h("p", {}, t("company.domains_text")), said, list, form);
  return { element, show };
}
