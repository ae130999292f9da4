"""What operators see of everything at once: how much waits and since when, what fails, and the way of one mail. Ids, codes and counts only."""
