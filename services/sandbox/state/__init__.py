"""Decides what Amazon knows: sellers, orders, reports, notices, codes and tokens, secrets, scenarios, the clock.

It knows no page, no HTTP route and no mail, and a code or token must never be valid where Amazon's would not be.
"""
