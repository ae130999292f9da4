// Replies that have not arrived, and those that still wait: found within seconds, wherever their conversations are.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { announce, pageHeading, showProblem, throttled } from "../core/elements.js";
import { onEvent, REPLY_KINDS } from "../core/events.js";
import { t } from "../core/i18n.js";
import { mergedPages } from "../core/merged_pages.js";
import { pagedList } from "../core/paged_list.js";
import { navigate } from "../core/router.js";
import { replyStatus } from "./reply_article.js";
import { replyWishes } from "./reply_wishes.js";

// Whether it failed for certain or only perhaps: an agent has to decide.
const VIEWS = { failed: ["failed", "perhaps_sent"], delayed: ["delayed"], scheduled: ["scheduled"] };

export async function show({ main, query, signal }) {
  let view = viewOf(query);
  const problemPlace = h("div", { class: "place" });
  const listPlace = h("div", {});
  const list = h("ul", { class: "reply-list", "aria-label": t("replies.list") });
  const links = Object.fromEntries(Object.keys(VIEWS).map((each) => [each, h("a", { href: each === "failed" ? "/replies" : `/replies?view=${each}` }, t(`replies.view.${each}`))]));
  let left = new AbortController();
  let pages = pagesOf(view);
  const wishes = replyWishes({ act, onCanceled: (reply) => !signal.aborted && navigate(`/inbox/${reply.conversation_id}`) });

  function pagesOf(wanted) {
    const ends = AbortSignal.any([signal, left.signal]);
    const source = (state) => ({
      load: (cursor) => get(`/replies?${new URLSearchParams({ state, undismissed: true, ...(cursor && { cursor }) })}`, ends),
      timeOf: ({ created_at: at }) => at,
      wrap: (reply) => reply,
    });
    return pagedList({ load: mergedPages(VIEWS[wanted].map(source)), render, container: list, label: t("common.load_more") });
  }

  function render(reply) {
    const name = reply.order_id ? t("conversation.order", { order: reply.order_id }) : t("inbox.no_order");
    return h(
      "li",
      { class: "message card", "data-testid": "failed-reply", "data-reply": reply.id, tabindex: "-1" },
      h("h2", {}, h("a", { href: `/inbox/${reply.conversation_id}` }, h("bdi", {}, name))),
      h("p", { class: "reply-excerpt", dir: "auto" }, reply.text),
      replyStatus(reply, { wishes, signal }),
    );
  }

  async function act(send) {
    try {
      await send();
      replace(problemPlace);
      await draw();
      return true;
    } catch (problem) {
      await read();
      showProblem(problemPlace, problem);
      return false;
    }
  }

  async function draw() {
    const shown = await pages.refresh();
    if (shown === null) return;
    if (shown === 0) replace(listPlace, h("p", { class: "muted" }, t(`replies.none.${view}`)));
    else if (!listPlace.contains(pages.more)) replace(listPlace, list, pages.more);
  }

  function drawViews() {
    for (const [each, link] of Object.entries(links)) {
      if (each === view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  async function change(_, newQuery) {
    view = viewOf(newQuery);
    drawViews();
    list.replaceChildren();
    // What was asked for the view before must not come into this one's list.
    left.abort();
    left = new AbortController();
    pages = pagesOf(view);
    const shown = view;
    await read();
    if (shown === view) announce(t(`replies.view.${view}`));
  }

  const read = () => draw().catch((problem) => showProblem(problemPlace, problem));
  const soon = throttled(1000, signal, read);
  for (const kind of REPLY_KINDS) onEvent(kind, signal, soon);
  drawViews();
  await draw();
  const views = h("nav", { class: "views", "aria-label": t("inbox.views") }, h("ul", {}, Object.values(links).map((link) => h("li", {}, link))));
  replace(main, pageHeading(t("replies.title")), h("p", { class: "lead" }, t("replies.lead")), views, problemPlace, listPlace);
  return change;
}

const viewOf = (query) => (Object.hasOwn(VIEWS, query.get("view") ?? "") ? query.get("view") : "failed");
