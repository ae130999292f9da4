// Two conversations become one, and two again.

import { post } from "../core/api.js";
import { h } from "../core/dom.js";
import { actionButton, notice } from "../core/elements.js";
import { t } from "../core/i18n.js";

// What this tab has just merged is offered to be undone where it went.
let justMerged = null;

export async function mergeInto(path, target, signal) {
  const merged = await post(`${path}/merge`, { into: target }, signal);
  justMerged = merged.undoable_merge_id;
  return merged;
}

/** Resolves to the conversation that is one of its own again. */
export async function takeMergeBack({ id, undoable_merge_id: mergeId }, signal) {
  const undone = await post(`/conversations/${id}/merges/${mergeId}/undo`, undefined, signal);
  if (justMerged === mergeId) justMerged = null;
  return undone;
}

/** Says what was merged a moment ago, with the way back; else nothing. */
export function mergedBar(conversation, undo) {
  if (!justMerged || conversation.undoable_merge_id !== justMerged) return null;
  justMerged = null;
  const bar = notice("info", null, h("p", {}, t("conversation.merge.done")), actionButton(t("conversation.merge_undo.short"), undo, { class: "button button-secondary button-small" }));
  bar.dataset.testid = "merged";
  return bar;
}
