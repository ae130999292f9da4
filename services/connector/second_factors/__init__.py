"""Second factors: authenticator apps, passkeys, recovery codes, and who of an account has to have one.

What must never happen here: a secret that is shown twice, or to anybody but its owner; a code that is good twice; a passkey that lets in
anybody but the one who registered it.
"""
