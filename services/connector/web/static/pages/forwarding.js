// "Forwarded mailboxes": whose mail counts for this store although Amazon sends it elsewhere. Closed by default.

import { get, post, remove } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { focusUnlessTyping } from "../core/focus.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { latest } from "../core/latest.js";

export function forwardingSection(integration, signal) {
  const path = `/integrations/${integration.id}/forwarded-mailboxes`;
  const place = h("div", {});
  const problemPlace = h("div", { class: "place", role: "status" });
  const field = elements.field(t("forwarding.address"), { name: "address", type: "email", autocomplete: "off" });
  const save = h("button", { type: "submit", class: "button button-secondary" }, t("forwarding.add"));

  const asking = latest();

  async function load() {
    const isLatest = asking();
    try {
      const { items } = await get(path, signal);
      if (!isLatest()) return;
      replace(place, items.length ? h("ul", { "data-testid": "forwarded-mailboxes" }, items.map(item)) : h("p", { class: "muted" }, t("forwarding.none")));
    } catch (problem) {
      if (isLatest()) elements.showProblem(place, problem);
    }
  }

  function item(mailbox) {
    const button = elements.actionButton(t("forwarding.withdraw"), () => withdraw(mailbox), { class: "button button-danger button-small" });
    return h("li", {}, mailbox.address ?? t("forwarding.unreadable"), " ", h("span", { class: "muted" }, t("forwarding.since", { time: dateTime(mailbox.confirmed_at) })), " ", button);
  }

  async function withdraw(mailbox) {
    const isConfirmed = await elements.confirmDialog({ title: t("forwarding.withdraw.title"), content: h("p", {}, t("forwarding.withdraw.text")), confirm: t("forwarding.withdraw") });
    if (!isConfirmed) return;
    try {
      await remove(`${path}/${mailbox.id}`, signal);
      elements.tellDone(t("forwarding.withdrawn"));
      await load();
      focusUnlessTyping(field.input);
    } catch (problem) {
      elements.showProblem(problemPlace, problem);
    }
  }

  async function submit(event) {
    event.preventDefault();
    field.setError(null);
    replace(problemPlace);
    await elements.busy(save, async () => {
      const address = field.input.value;
      try {
        await post(path, { address }, signal);
        if (field.input.value === address) field.input.value = "";
        elements.tellDone(t("forwarding.confirmed"));
        await load();
      } catch (problem) {
        if (problem.status === 422 || problem.code === "mailbox_ours") field.setError(elements.fieldError(problem, "address"));
        else elements.showProblem(problemPlace, problem);
      }
    });
  }

  const form = h("form", { class: "form", novalidate: true, onsubmit: submit }, field.element, problemPlace, h("div", { class: "buttons" }, save));
  return h("details", { class: "smtp", ontoggle: (event) => event.target.open && load() }, h("summary", {}, t("forwarding.title")), h("p", {}, t("forwarding.text")), place, form);
}
