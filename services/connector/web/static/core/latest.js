// Of several answers that are under way at once, the one to the latest question counts.

/** A function to call before each question. It returns another, which tells once the answer is there whether nothing was asked since. */
export function latest() {
  let asked = 0;
  return () => {
    asked += 1;
    const mine = asked;
    return () => mine === asked;
  };
}
