"""What agents read of their buyers' mail, and what they do with it: lists, searches, reads, downloads, changes, merging and splitting.

Sealed text is opened here for whoever may see it, and leaves as an answer only: never into a log, an event, a URL or another
account. A stranger's HTML and files never run as ours.
"""
