"""Mails in both directions: composes, signs and sends what buyers and Amazon write, and takes what is sent to sellers.

Nothing must leave for an address that no seller entered, and what came in is never sent on.
"""
