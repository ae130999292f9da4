"""Whether this database was restored lately, so that nobody knows what is missing in it."""

from typing import Final

# Asked by whoever would do something for good because a row is missing: it may have been made after the point of the restore.
IS_UNCERTAIN: Final = "EXISTS (SELECT FROM restorations WHERE ends_at > now())"
