"""Replies as mails: what was written becomes bytes, is signed for the mail domain, and goes to Amazon.

Nothing that a person typed, or that a buyer's mail holds, begins a header field here, whatever is in it.
"""
