"""Signing in and out, the sessions that come of it, and proving again who one is.

What must never happen here: an answer, a time or a log line that tells whether an e-mail address exists; a secret in the database; a
stranger who keeps a user from signing in, or who guesses their way past a second factor.
"""
