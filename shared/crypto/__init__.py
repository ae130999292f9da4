"""Everything that touches `cryptography`: the envelope of sealed columns, the key provider, and sealed raw mail.

What is sealed with what, and who holds which key: docs/architecture.md, "Keys".
"""
