// Settings → the company account: the provider at which the account's people sign in, what its groups may do, and the company's mail domains.

import { get, post, put, remove } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { t } from "../core/i18n.js";
import { loadSession, may } from "../core/session.js";
import { domainsSection } from "./single_sign_on_domains.js";
import { groupsPart } from "./single_sign_on_groups.js";
import { settingsTabs } from "./settings.js";
import { levelFields } from "./users_dialogs.js";

const PATH = "/account/single-sign-on";

export async function show({ main, signal }) {
  const place = h("div", { class: "company" });
  const said = h("div", { class: "place", role: "status" });
  const isFixed = !may("general.admin", "edit");

  const found = await get(PATH, signal);
  // A domain that is being typed stays when the provider is saved.
  const domains = domainsSection(found.domains, { isFixed, signal });

  async function refresh() {
    const now = await get(PATH, signal);
    domains.show(now.domains);
    draw(now);
  }

  function draw(now) {
    const focused = document.activeElement;
    replace(place, thereSection(now), providerForm(now.provider, { isFixed, signal, said, refresh }), said, domains.element);
    if (domains.element.contains(focused)) focused.focus();
  }

  draw(found);
  replace(main, settingsTabs(), elements.pageHeading(t("company.title")), h("p", { class: "lead" }, t("company.lead")), place);
  return null;
}

/** What is to be copied to the provider, and to colleagues. */
function thereSection({ redirect_uri, sign_in_url }) {
  const line = (name, value) => {
    const shown = h("code", { class: "address address-small" }, value);
    return [h("h3", {}, t(`company.${name}`)), h("div", { class: "address-line" }, shown, elements.copyButton(t(`company.copy_${name}`), shown))];
  };
  return h("section", { class: "card section" }, h("h2", {}, t("company.there")), h("p", {}, t("company.there_text")), line("redirect_uri", redirect_uri), line("sign_in_url", sign_in_url), h("p", { class: "muted" }, t("company.sign_in_text")));
}

function providerForm(provider, { isFixed, signal, said, refresh }) {
  const now = provider ?? { issuer: "", client_id: "", level_claim: null, level_rules: [], creates_users: false, new_user_permissions: {}, is_only: false, needs_proof_of_factors: false };
  const text = (key, attributes, hint) => elements.field(t(`company.${key}`), { name: key, autocomplete: "off", spellcheck: "false", disabled: isFixed, ...attributes }, hint);
  const issuer = text("issuer", { type: "url", inputmode: "url", maxlength: 500, value: now.issuer }, t("company.issuer_hint"));
  const clientId = text("client_id", { maxlength: 500, value: now.client_id });
  const secret = text("client_secret", { type: "password", maxlength: 2000, autocomplete: "new-password" }, t(provider ? "company.secret_kept" : "company.secret_hint"));
  const creates = tick("creates_users", now.creates_users, isFixed);
  const proof = tick("needs_proof", now.needs_proof_of_factors, isFixed, t("company.needs_proof_hint"));
  const only = tick("is_only", now.is_only, isFixed, t("company.is_only_hint"));
  const levels = levelFields(now.new_user_permissions);
  const groups = groupsPart(now, isFixed);
  const tested = h("div", { class: "place", role: "status" });

  // What a test has shown holds for what was tested, and not for what is typed since.
  issuer.input.addEventListener("input", () => replace(tested));

  async function test() {
    replace(tested);
    if (isMissing(issuer, "issuer_missing")) return;
    const asked = issuer.input.value.trim();
    try {
      const { failure, detail } = await post(`${PATH}/test`, { issuer: asked }, signal);
      if (issuer.input.value.trim() !== asked) return;
      const sentence = failure ? detail : t("company.test_good");
      replace(tested, elements.notice(failure ? "bad" : "good", failure && t("company.test_bad"), h("p", {}, sentence)));
      elements.announce(sentence);
    } catch (problem) {
      elements.showProblem(tested, problem);
    }
  }

  function isMissing(field, key) {
    const isEmpty = !field.input.value.trim();
    field.setError(isEmpty ? t(`company.${key}`) : null);
    if (isEmpty) field.input.focus();
    return isEmpty;
  }

  async function save() {
    replace(said);
    if (isMissing(issuer, "issuer_missing") || isMissing(clientId, "client_id_missing") || !groups.check()) return;
    const wanted = {
      issuer: issuer.input.value.trim(),
      client_id: clientId.input.value.trim(),
      client_secret: secret.input.value || null,
      ...groups.values(),
      creates_users: creates.input.checked,
      new_user_permissions: levels.values(),
      is_only: only.input.checked,
      needs_proof_of_factors: proof.input.checked,
    };
    try {
      await put(PATH, wanted, signal);
      await refresh();
      elements.tellDone(t("company.saved"));
    } catch (problem) {
      if (problem.code === "client_secret_needed") {
        secret.setError(elements.problemTexts(problem).detail);
        return secret.input.focus();
      }
      elements.showProblem(said, problem);
    }
  }

  async function removeProvider() {
    const isSure = await elements.confirmDialog({ title: t("company.remove_title"), content: h("p", {}, t("company.remove_text")), confirm: t("company.remove") });
    if (!isSure) return;
    try {
      await remove(PATH, signal);
      replace(said);
      await refresh();
      elements.tellDone(t("company.removed"));
      await loadSession();
    } catch (problem) {
      elements.showProblem(said, problem);
    }
  }

  const button = h("button", { type: "submit", class: "button" }, t("company.save"));
  const buttons = !isFixed && h("div", { class: "buttons" }, button, provider && elements.actionButton(t("company.remove"), removeProvider, { class: "button button-danger" }));
  const people = h("fieldset", { class: "choices" }, h("legend", {}, t("company.first_levels")), levels.elements);
  for (const select of people.querySelectorAll("select")) select.disabled ||= isFixed;
  return h(
    "form",
    {
      class: "form card section security",
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        return elements.busy(button, save);
      },
    },
    h("h2", {}, t("company.provider")),
    issuer.element,
    !isFixed && elements.actionButton(t("company.test"), test, { class: "button button-secondary" }),
    tested,
    clientId.element,
    secret.element,
    h("h2", {}, t("company.people")),
    h("p", {}, t("company.people_text")),
    creates.element,
    people,
    groups.element,
    proof.element,
    only.element,
    buttons,
  );
}

function tick(key, checked, disabled, hint) {
  const id = newId(key);
  const input = h("input", { type: "checkbox", id, checked, disabled, "aria-describedby": hint ? `${id}-hint` : null });
  const element = h("div", { class: "field" }, h("div", { class: "tick" }, input, h("label", { for: id }, t(`company.${key}`))), hint && h("p", { class: "hint", id: `${id}-hint` }, hint));
  return { input, element };
}
