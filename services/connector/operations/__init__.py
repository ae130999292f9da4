"""What operators see beside each process's own figures: how much waits for the worker, and the way of one mail. Ids, codes and counts only."""
