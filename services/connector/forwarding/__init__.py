"""Mailboxes whose mail is forwarded to a store's relay address: confirmed, listed, withdrawn, and what waited for the confirmation.

What such a mailbox is named is personal data: sealed, found by a keyed hash, in no address, log or audit entry.
"""
