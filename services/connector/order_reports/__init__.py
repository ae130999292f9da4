"""Order reports: which columns they may have, how a file of any size becomes orders, and how a report is asked for, awaited and stored.

No cell is lost: what nobody knows, and what cannot be read, is kept sealed, because it may be personal. Nothing of a report is written
to a disk outside the database.
"""
