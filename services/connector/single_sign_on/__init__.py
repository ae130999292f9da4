"""Single sign-on by OpenID Connect: the provider of an account, and signing in by it.

What must never happen here: somebody who gets in as a user of another account, or as a colleague, by what their own provider says; an
answer to another question, browser or attempt that lets anybody in; a client secret that is shown, or sent to another provider than
it was entered for; an answer that tells whether an e-mail address is a user's.
"""
