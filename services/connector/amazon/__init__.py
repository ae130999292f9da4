"""The client of Amazon's interfaces: Login with Amazon, the SP-API and the queue of notices, with their signing and limits.

It decides what an answer means (refused, throttled, in trouble) and stores nothing. Tokens and secrets never reach a log line or
the text of an error.
"""
