"""Who is asking and what they may do: sign-in, sessions, API keys, permissions, and the audit entries that say so.

Nothing here tells whether an e-mail address exists, neither by an answer nor by its time; of a secret only a hash is stored; and what
was revoked works no more from the next request on.
"""
