"""Texts that agents send again and again: their placeholders, their languages, and how one is filled for a conversation.

A placeholder without a value stays and is named: nothing is guessed, and a reply that holds one is not sent.
"""
