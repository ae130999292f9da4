"""Decides who may have a code or a token: sign-in, consent, the Appstore's way in, and Login with Amazon.

A browser must never be sent to a redirect URI that is not registered, except where a scenario says so.
"""
