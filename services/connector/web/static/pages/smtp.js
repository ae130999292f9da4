// "Advanced": the seller's own SMTP server for replies. Closed by default; the password goes one way only.

import { get, post, put, remove } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";

const FIELDS = {
  host: { autocomplete: "off", spellcheck: "false", placeholder: "smtp.example.com" },
  port: { inputmode: "numeric", autocomplete: "off", value: "587" },
  username: { autocomplete: "off", spellcheck: "false" },
  password: { type: "password", autocomplete: "new-password" },
  sender_address: { type: "email", autocomplete: "off" },
};

// Problems that concern one field.
const FIELD_OF_CODE = { sender_invalid: "sender_address", password_required: "password", port_not_allowed: "port" };

/**
 * The closed section, and `saveTyped()`, which saves what was typed into it and not saved yet; false if it was not to be.
 * As part of a larger form it has no button to save: that of the form saves it, too.
 */
export function smtpSection(integration, signal, { isPart = false } = {}) {
  const path = `/integrations/${integration.id}/smtp-configuration`;
  const place = h("div", {});
  let isLoaded = false;
  let saveTyped = async () => true;

  async function load() {
    if (isLoaded) return;
    isLoaded = true;
    try {
      draw(await stored());
    } catch (problem) {
      isLoaded = false;
      elements.showProblem(place, problem);
    }
  }

  async function stored() {
    try {
      return await get(path, signal);
    } catch (problem) {
      if (problem.status === 404) return null;
      throw problem;
    }
  }

  function draw(configuration, { isNew = false } = {}) {
    const fields = Object.fromEntries(
      Object.entries(FIELDS).map(([name, attributes]) => {
        const hint = name === "password" && configuration ? t("smtp.password_hint") : undefined;
        return [name, elements.field(t(`smtp.${name}`), { name, value: configuration?.[name] ?? "", ...(configuration ? { ...attributes, value: configuration[name] ?? "" } : attributes) }, hint)];
      }),
    );
    const tlsMode = tlsChoice(configuration?.tls_mode ?? "starttls");
    const resultPlace = h("div", { class: "place", role: "status" });
    const save = h("button", { type: "submit", class: "button" }, t("smtp.save"));
    const test = h("button", { type: "button", class: "button button-secondary", onclick: () => elements.busy(test, () => sent((body) => post(`${path}/test`, body, signal), showResult)) }, t("smtp.test"));

    const body = () => ({
      host: fields.host.input.value.trim(),
      port: Number(fields.port.input.value),
      tls_mode: tlsMode.value,
      username: fields.username.input.value,
      ...(fields.password.input.value && { password: fields.password.input.value }),
      sender_address: fields.sender_address.input.value.trim(),
    });

    async function sent(send, onAnswer) {
      Object.values(fields).forEach((each) => each.setError(null));
      replace(resultPlace);
      const content = body();
      try {
        onAnswer(await send(content), content);
      } catch (problem) {
        showProblems(problem);
        return false;
      }
      return true;
    }

    function showProblems(problem) {
      const wrong = Object.entries(fields).filter(([name]) => FIELD_OF_CODE[problem.code] === name || problem.errors?.some((error) => error.field === name));
      wrong.forEach(([name, each]) => each.setError(elements.fieldError(problem, name)));
      if (wrong.length) wrong[0][1].input.focus();
      else elements.showProblem(resultPlace, problem);
    }

    let failed = null;
    const showResult = (check, tested) => {
      failed = check.result === "ok" ? null : JSON.stringify(tested);
      if (JSON.stringify(body()) === JSON.stringify(tested)) replace(resultPlace, result(check));
    };
    /** What a test has shown holds for what was tested, and not for what is typed since. */
    const forgetResult = () => replace(resultPlace);
    /** What has just failed its test is stored only by somebody who says so. */
    async function isMeant() {
      if (failed !== JSON.stringify(body())) return true;
      return elements.confirmDialog({ title: t("smtp.save_failed.title"), content: h("p", {}, t("smtp.save_failed.text")), confirm: t("smtp.save_failed") });
    }
    const store = async () => (await isMeant()) && sent((content) => put(path, content, signal), drawSaved);
    /** What is typed while it is being saved stays typed, and whoever types goes on. */
    function drawSaved(saved, sent) {
      const since = Object.entries(fields).filter(([name, { input }]) => input.value.trim() !== String(sent[name] ?? "").trim());
      const typing = Object.keys(fields).find((name) => fields[name].input === document.activeElement);
      const drawnAnew = draw(saved, { isNew: true });
      for (const [name, { input }] of since) drawnAnew[name].input.value = input.value;
      drawnAnew[since.length ? typing : null]?.input.focus();
    }
    const submit = (event) => {
      event.preventDefault();
      elements.busy(save, store);
    };
    const drawn = JSON.stringify(body());
    saveTyped = async () => JSON.stringify(body()) === drawn || store();
    const forget = async () => {
      const confirmed = await elements.confirmDialog({ title: t("smtp.remove.title"), content: h("p", {}, t("smtp.remove.text")), confirm: t("smtp.remove") });
      if (!confirmed) return;
      try {
        await remove(path, signal);
      } catch (problem) {
        elements.showProblem(resultPlace, problem);
        return;
      }
      draw(null);
      elements.tellDone(t("smtp.removed"));
      // The button that had the focus is gone.
      place.querySelector("input").focus();
    };
    replace(
      place,
      elements.notice("warning", null, h("p", {}, t("smtp.warning"))),
      h(
        "form",
        { class: "form", novalidate: true, onsubmit: submit, oninput: forgetResult },
        fields.host.element,
        fields.port.element,
        tlsMode.element,
        fields.username.element,
        fields.password.element,
        fields.sender_address.element,
        resultPlace,
        h("div", { class: "buttons" }, !isPart && save, test, configuration && elements.actionButton(t("smtp.remove"), forget, { class: "button button-danger" })),
      ),
    );
    if (configuration?.check) replace(resultPlace, result(configuration.check));
    if (isNew) {
      elements.tellDone(t("smtp.saved"));
      if (!configuration.check) resultPlace.prepend(elements.notice("info", null, h("p", {}, t("smtp.untested"))));
      place.querySelector("button[type=submit]")?.focus();
    }
    return fields;
  }

  const element = h("details", { class: "smtp", "data-part": "smtp", ontoggle: (event) => event.target.open && load() }, h("summary", {}, t("smtp.title")), place);
  return { element, saveTyped: () => saveTyped() };
}

function tlsChoice(current) {
  const id = newId("tls");
  const select = h("select", { id, class: "input" }, ["starttls", "tls"].map((mode) => h("option", { value: mode, selected: mode === current }, t(`smtp.tls.${mode}`))));
  return {
    element: h("div", { class: "field" }, h("label", { for: id }, t("smtp.tls")), select),
    get value() {
      return select.value;
    },
  };
}

function result(check) {
  const kind = check.result === "ok" ? "good" : "bad";
  return elements.notice(kind, check.title, check.cure && h("p", {}, check.cure), h("p", { class: "muted" }, t("smtp.tested_at", { time: dateTime(check.at) })));
}
