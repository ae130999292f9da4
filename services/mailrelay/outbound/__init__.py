"""Replies as mails: what was written becomes bytes, is signed for the mail domain, and goes to Amazon.

No final dot is sent before the database says that it is about to be, and what may be with the buyer is never sent again by itself.
Nothing that a person typed, or that a buyer's mail holds, begins a header field here, whatever is in it.
"""
