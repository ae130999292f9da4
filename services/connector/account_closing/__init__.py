"""How an account ends: closed by an admin or an operator, reopened by an operator within its grace period, and erased after it.

What must never happen here: somebody gets in after the closing; a mail that was accepted is lost while the account may be reopened;
something of the account is left after its erasure, or something of another one is gone.
"""
