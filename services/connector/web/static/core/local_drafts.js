// What somebody is writing, kept in this browser until the server has it: by user and conversation, and no longer than they are signed in.

const PREFIX = "replyco.draft.";

const keyOf = (userId, conversationId) => `${PREFIX}${userId}.${conversationId}`;

/** The copy, or null: `{ text, version, isSaved, sending }`. `version` is the server's that it was made of; `sending`, what may be on its way. */
export function localDraft(userId, conversationId) {
  try {
    return JSON.parse(localStorage.getItem(keyOf(userId, conversationId)));
  } catch {
    return null;
  }
}

/** False if this browser keeps nothing, for example because it is full. */
export function keepLocalDraft(userId, conversationId, draft) {
  try {
    localStorage.setItem(keyOf(userId, conversationId), JSON.stringify(draft));
    return true;
  } catch {
    return false;
  }
}

export function removeLocalDraft(userId, conversationId) {
  localStorage.removeItem(keyOf(userId, conversationId));
}

/** Forgets the copies that `isForgotten(userId, draft)` names: buyers' words may be in them. */
export function removeLocalDrafts(isForgotten) {
  for (const key of Object.keys(localStorage).filter((each) => each.startsWith(PREFIX))) {
    const [userId, conversationId] = key.slice(PREFIX.length).split(".");
    if (isForgotten(userId, localDraft(userId, conversationId))) localStorage.removeItem(key);
  }
}

/** What stays in a box whose text `sent` the server has taken: what somebody has typed on meanwhile; all of it, if they have changed what was sent. */
export const typedSince = (text, sent) => (text.startsWith(sent) ? text.slice(sent.length).trimStart() : text);
