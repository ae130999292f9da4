// The names by which the inbox is ordered: stores, people and tags. Read once for as long as somebody is in the inbox, and again when one changes.

import { get } from "../core/api.js";

const PATHS = { stores: "/conversations/stores", assignees: "/conversations/assignees", tags: "/tags" };

let read = {};

function choices(name, signal) {
  if (!read[name]) {
    const reading = get(PATHS[name], signal).then(({ items }) => items);
    read[name] = reading;
    reading.catch(() => read[name] === reading && delete read[name]);
  }
  return read[name];
}

export const stores = (signal) => choices("stores", signal);
export const assignees = (signal) => choices("assignees", signal);
export const tags = (signal) => choices("tags", signal);

/** What was read is outdated. */
export function forgetChoices() {
  read = {};
}

/** The names of people and tags by their ids, for rows and heads of conversations. */
export async function readNames(signal) {
  const [people, words] = await Promise.all([assignees(signal), tags(signal)]);
  return new Map([...people, ...words].map(({ id, name }) => [id, name]));
}
