// The guide to Seller Central: what to do there, country by country, with boxes that are remembered.

import { get, put } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { copyButton, outsideLink, showProblem } from "../core/elements.js";
import { shortDate } from "../core/format.js";
import { helpfulQuestion } from "../core/helpful.js";
import { t, textParts } from "../core/i18n.js";
import { may } from "../core/session.js";
import { drawing } from "./guide_drawings.js";
import { verificationMails } from "./verification_mails.js";

const STEPS = ["order_report_columns", "seller_profile", "notification_preferences", "approved_sender"];
// What is done at each step, sentence by sentence; {menu_…} in a text is the exact wording of Seller Central.
const SENTENCES = { order_report_columns: 2, seller_profile: 3, notification_preferences: 4, approved_sender: 2 };

/**
 * The guide of an integration: its heading, its elements, and `refresh()` for what was ticked elsewhere or by itself.
 * `onChanged` is called after a box was ticked here, for the lock may have changed.
 */
export function guide(integration, steps, signal, onChanged) {
  const progress = h("p", { class: "progress-text", "data-testid": "setup-progress", role: "status" });
  const bar = h("progress", { "aria-hidden": "true", max: steps.length });
  let saves = 0;
  const rows = steps.map((step) => tickRow(step, tick));

  function update(newSteps) {
    for (const row of rows) {
      const fresh = newSteps.find((step) => step.step === row.step.step && step.country === row.step.country);
      if (fresh) Object.assign(row.step, fresh);
      row.draw();
    }
    const done = steps.filter((step) => step.done).length;
    bar.value = done;
    progress.textContent = t(done === steps.length ? "guide.progress.all" : "guide.progress", { done, total: steps.length });
    for (const name of STEPS) {
      const ofStep = steps.filter((step) => step.step === name);
      const place = marks[name];
      place.textContent = ofStep.length && ofStep.every((step) => step.done) ? t("guide.step_done") : "";
    }
  }

  async function tick(step, isWanted, place, saved) {
    try {
      const answer = await put(`/integrations/${integration.id}/setup-steps/${step.step}/${step.country}`, { done: isWanted }, signal);
      saves += 1;
      saved();
      replace(place);
      update([answer]);
      await onChanged();
    } catch (problem) {
      saved();
      update([]);
      // Beside the box, which has just gone back by itself.
      showProblem(place, problem);
      place.scrollIntoView({ block: "nearest" });
    }
  }

  const marks = Object.fromEntries(STEPS.map((name) => [name, h("span", { class: "step-done" })]));
  const verification = verificationMails(integration, signal);
  const shown = STEPS.filter((name) => steps.some((step) => step.step === name));
  const isDone = (name) => steps.every((step) => step.step !== name || step.done);
  // One step at a time: the first that is open; a browser closes the others of the same name.
  const current = shown.find((name) => !isDone(name));
  const group = newId("guide");
  const items = shown.map((name, index) => {
    const ticks = h("ul", { class: "ticks" }, rows.filter((row) => row.step.step === name).map((row) => row.element));
    const next = () => {
      const following = items[index + 1].querySelector("details");
      following.open = true;
      following.scrollIntoView({ block: "nearest" });
      following.querySelector("summary").focus({ preventScroll: true });
    };
    return h(
      "li",
      { "data-testid": `setup-${name}` },
      h(
        "details",
        { class: "guide-step", name: group, open: name === current },
        h("summary", {}, t(`guide.${name}.title`), " ", marks[name]),
        h("div", { class: "guide-how" }, h("div", {}, instructions(name), name !== "order_report_columns" && addressLine(integration)), drawing(name)),
        ticks,
        index + 1 < shown.length && h("button", { type: "button", class: "button button-secondary button-small", onclick: next }, t("guide.next")),
      ),
    );
  });
  update([]);
  const heading = h("h3", { tabindex: "-1" }, t("guide.title"));
  const elements = [
    h("p", {}, t("guide.text")),
    h("div", { class: "progress" }, bar, progress),
    verification.element,
    h("ol", { class: "guide" }, items),
    helpfulQuestion("guide"),
  ];
  /** Reads the steps and the verification mails again; an answer that a box saved in the meantime has made old is dropped. */
  async function refresh() {
    const savesBefore = saves;
    const [{ items: fresh }] = await Promise.all([get(`/integrations/${integration.id}/setup-steps`, signal), verification.refresh()]);
    if (saves === savesBefore) update(fresh);
  }

  return { heading, elements, refresh, ready: verification.refresh() };
}

/** The address, wherever it is to be pasted. */
function addressLine(integration) {
  const address = h("code", { class: "address address-small" }, integration.address);
  return h("div", { class: "address-line" }, h("span", {}, t("guide.address")), address, copyButton(t("guide.copy"), address, { class: "button button-secondary button-small copy" }));
}

function instructions(name) {
  const numbers = Array.from({ length: SENTENCES[name] }, (_, index) => index + 1);
  return h("ul", { class: "instructions" }, numbers.map((number) => h("li", {}, textParts(`guide.${name}.${number}`, menus()))));
}

function menus() {
  const names = [
    "order_report_columns", "all_columns", "seller_profile", "edit", "customer_service_details", "customer_service_email", "reply_to_email", "submit",
    "notification_preferences", "messaging", "message_types", "add", "save", "messaging_permissions", "add_email_address", "approved",
  ];
  return Object.fromEntries(names.map((name) => [name, h("b", {}, t(`menu.${name}`))]));
}

function tickRow(step, tick) {
  const id = newId("step");
  const box = h("input", { type: "checkbox", id, disabled: !may("general.admin", "edit") });
  const when = h("span", { class: "muted" });
  const problemPlace = h("div", { class: "place tick-problem" });
  let isBeingSaved = false;
  box.addEventListener("change", async () => {
    isBeingSaved = true;
    await tick(step, box.checked, problemPlace, () => (isBeingSaved = false));
  });
  // The columns are switched on once, in any country in which the store sells.
  const isOnce = step.step === "order_report_columns";
  const label = isOnce ? t("guide.columns_done") : step.country_name;
  const element = h(
    "li",
    { "data-country": step.country },
    h("span", { class: "tick" }, box, h("span", {}, h("label", { for: id }, label), when)),
    outsideLink(step.url, isOnce ? t("guide.open_once") : t("guide.open", { country: step.country_name }), { class: "step-link" }),
    problemPlace,
  );
  function draw() {
    // What was ticked a moment ago stays as it was ticked until its own answer comes.
    if (isBeingSaved) return;
    box.checked = step.done;
    const key = step.by_itself ? "guide.seen_at" : "guide.done_at";
    when.textContent = step.done && step.done_at ? t(key, { date: shortDate(step.done_at) }) : "";
  }
  return { step, element, draw };
}
