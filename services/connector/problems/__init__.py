"""What a failure looks like outside: each code's status and its sentences in German and English (RFC 9457), and the handlers that answer with them.

Nothing that was sent, and nothing of an exception's text, is ever part of an answer.
"""
