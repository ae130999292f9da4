"""Who is asking and what they may do: the caller, users, permissions, passwords, API keys, and the audit entries that say so.

Of a secret only a hash is stored; and what was revoked works no more from the next request on.
"""
