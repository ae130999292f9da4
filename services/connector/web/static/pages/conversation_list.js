// Reading the list of conversations.

import { get, post } from "../core/api.js";

/** A page of what is asked for. What somebody looks for may be a buyer's address or words: it goes in a body, never in a URL. */
export function readConversations({ q, ...filters }, signal) {
  const set = Object.fromEntries(Object.entries(filters).filter(([, value]) => value));
  if (q) return post("/conversations/search", { q, ...set }, signal);
  return get(`/conversations?${new URLSearchParams(set)}`, signal);
}
