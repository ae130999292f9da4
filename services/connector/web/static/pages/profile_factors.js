// Profile: second factors. An authenticator app, passkeys, and recovery codes for whoever has lost them.

import { get, patch, post, put, remove } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { actionButton, busy, confirmDialog, copyButton, field, notice, problemTexts, showProblem, tellDone } from "../core/elements.js";
import { focusUnlessTyping } from "../core/focus.js";
import { date, dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { knowsPasskeys, makePasskey, wasCancelled } from "../core/passkeys.js";
import { showCurrent } from "../core/router.js";
import { loadSession, needsSecondFactor } from "../core/session.js";

export async function secondFactorSection(signal) {
  const heading = h("h2", { tabindex: "-1" }, t("factor.title"));
  const said = h("div", { class: "place" });
  const codesPlace = h("div", { class: "place" });
  const content = h("div", { class: "factors" });

  async function refresh() {
    const has = await get("/me/second-factor", signal);
    replace(content, appPart(has), passkeyPart(has), has.recovery_codes_left + has.passkeys.length + Number(has.authenticator_since !== null) > 0 && codesPart(has));
  }

  /** Does something and shows what is there afterwards; says what went wrong. */
  async function tryTo(work, text) {
    replace(said);
    try {
      const answer = await work();
      await refresh();
      tellDone(t(text));
      if (answer?.recovery_codes) showCodes(answer.recovery_codes);
      else await goOn();
      return true;
    } catch (problem) {
      if (wasCancelled(problem)) replace(said, notice("info", null, h("p", {}, t("passkey.cancelled"))));
      else showProblem(said, problem);
      return false;
    }
  }

  /** Whoever could do nothing else may now do everything. */
  async function goOn() {
    if (!needsSecondFactor()) return focusUnlessTyping(heading);
    await loadSession();
    if (!needsSecondFactor()) await showCurrent({ again: true });
  }

  function showCodes(codes) {
    const list = h("ol", { class: "recovery-codes", "data-testid": "recovery-codes" }, codes.map((code) => h("li", {}, h("code", {}, code))));
    const plain = h("pre", { hidden: true }, codes.join("\n"));
    const title = h("h3", { tabindex: "-1" }, t("codes.title"));
    const done = actionButton(t("codes.stored"), async () => {
      try {
        replace(codesPlace);
        await goOn();
      } catch (problem) {
        showProblem(said, problem);
      }
    });
    replace(codesPlace, notice("warning", null, title, h("p", {}, t("codes.text")), list, plain, h("div", { class: "buttons" }, copyButton(t("codes.copy"), plain), done)));
    title.focus();
    codesPlace.scrollIntoView({ block: "nearest" });
  }

  function appPart(has) {
    const place = h("div", { class: "place" });
    const begin = actionButton(t(has.authenticator_since ? "app.replace" : "app.set_up"), () => beginApp(place), { class: has.authenticator_since ? "button button-secondary" : "button" });
    const drop = has.authenticator_since && actionButton(t("app.remove"), () => removeApp(), { class: "button button-danger" });
    const state = has.authenticator_since ? t("app.since", { date: date(has.authenticator_since) }) : t("app.none");
    return h("div", { class: "factor" }, h("h3", {}, t("app.title")), h("p", {}, t("app.lead")), h("p", { class: "muted" }, state), h("div", { class: "buttons" }, begin, drop), place);
  }

  async function beginApp(place) {
    replace(said);
    try {
      const { key, picture } = await post("/me/authenticator", undefined, signal);
      const { element, input } = appForm(key, picture, place);
      replace(place, element);
      input.focus();
    } catch (problem) {
      showProblem(said, problem);
    }
  }

  function appForm(key, picture, place) {
    const code = field(t("app.code"), { name: "code", inputmode: "numeric", autocomplete: "one-time-code", maxlength: 10, required: true });
    const shown = h("code", { class: "address address-small", "data-testid": "app-key" }, key.match(/.{1,4}/g).join(" "));
    const button = h("button", { type: "submit", class: "button" }, t("app.confirm"));
    const drawn = h("div", { class: "qr", role: "img", "aria-label": t("app.picture") }, document.importNode(new DOMParser().parseFromString(picture, "image/svg+xml").documentElement, true));

    async function confirm() {
      let answer;
      try {
        answer = await put("/me/authenticator", { code: code.input.value.trim() }, signal);
      } catch (problem) {
        if (problem.code !== "code_refused") return showProblem(said, problem);
        const { title, detail } = problemTexts(problem);
        code.setError(`${title}. ${detail}`);
        return code.input.select();
      }
      replace(place);
      await tryTo(async () => answer, "app.done");
    }

    function submit(event) {
      event.preventDefault();
      code.setError(code.input.value.trim() ? null : t("app.code_missing"));
      if (!code.input.value.trim()) return code.input.focus();
      return busy(button, confirm);
    }

    const steps = h("ol", { class: "set-up" }, h("li", {}, t("app.step_scan"), drawn, h("p", {}, t("app.step_type")), h("div", { class: "address-line" }, shown, copyButton(t("app.copy_key"), shown))), h("li", {}, t("app.step_code"), h("form", { class: "form", novalidate: true, onsubmit: submit }, code.element, button)));
    return { element: steps, input: code.input };
  }

  async function removeApp() {
    const isSure = await confirmDialog({ title: t("app.remove_title"), content: h("p", {}, t("app.remove_text")), confirm: t("app.remove") });
    if (isSure) await tryTo(() => remove("/me/authenticator", signal), "app.removed");
  }

  function passkeyPart(has) {
    const add = actionButton(t("passkeys.add"), addPasskey, { class: has.passkeys.length ? "button button-secondary" : "button" });
    const list = has.passkeys.length > 0 && h("ul", { class: "rows" }, has.passkeys.map(passkeyRow));
    return h("div", { class: "factor" }, h("h3", {}, t("passkeys.title")), h("p", {}, t("passkeys.lead")), list, knowsPasskeys() ? h("div", { class: "buttons" }, add) : h("p", { class: "muted" }, t("passkeys.unknown")));
  }

  async function addPasskey() {
    await tryTo(async () => {
      const { options } = await post("/me/passkeys/options", undefined, signal);
      const credential = await makePasskey(options, signal);
      return post("/me/passkeys", { name: t("passkeys.default_name", { date: date(new Date().toISOString()) }), credential }, signal);
    }, "passkeys.added");
  }

  function passkeyRow(passkey) {
    const facts = [t("passkeys.since", { date: date(passkey.created_at) }), passkey.last_used_at ? t("passkeys.used", { time: dateTime(passkey.last_used_at) }) : t("passkeys.unused")];
    const rename = actionButton(t("passkeys.rename"), () => startRename(), { class: "button button-secondary button-small", "aria-label": t("passkeys.rename_named", { name: passkey.name }) });
    const drop = actionButton(t("passkeys.remove"), () => removePasskey(passkey), { class: "button button-danger button-small", "aria-label": t("passkeys.remove_named", { name: passkey.name }) });
    const element = h("li", { class: "row" }, h("div", {}, h("p", { class: "row-title" }, passkey.name), h("p", { class: "muted" }, facts.join(" · "))), h("div", { class: "buttons" }, rename, drop));

    function startRename() {
      const name = field(t("passkeys.name"), { name: "passkey-name", maxlength: 60, value: passkey.name });
      const button = h("button", { type: "submit", class: "button button-small" }, t("profile.save"));
      const save = async (event) => {
        event.preventDefault();
        const typed = name.input.value.trim();
        name.setError(typed ? null : t("profile.name_missing"));
        if (!typed) return name.input.focus();
        return busy(button, () => tryTo(() => patch(`/me/passkeys/${passkey.id}`, { name: typed }, signal), "profile.saved"));
      };
      replace(element, h("form", { class: "form", novalidate: true, onsubmit: save }, name.element, button));
      name.input.select();
      name.input.focus();
    }

    return element;
  }

  async function removePasskey(passkey) {
    const isSure = await confirmDialog({ title: t("passkeys.remove_title", { name: passkey.name }), content: h("p", {}, t("passkeys.remove_text")), confirm: t("passkeys.remove") });
    if (isSure) await tryTo(() => remove(`/me/passkeys/${passkey.id}`, signal), "passkeys.removed");
  }

  function codesPart(has) {
    const left = has.recovery_codes_left;
    const make = actionButton(t("codes.renew"), () => tryTo(() => post("/me/recovery-codes", undefined, signal), "codes.made"), { class: "button button-secondary" });
    return h("div", { class: "factor" }, h("h3", {}, t("codes.heading")), h("p", {}, t("codes.lead")), h("p", { class: left < 3 ? "tone-warning" : "muted" }, t("codes.left", { count: left })), h("div", { class: "buttons" }, make));
  }

  await refresh();
  return h("section", { class: "card section" }, heading, said, codesPlace, content);
}
