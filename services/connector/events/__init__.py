"""Streams of events to browsers and programs: which events each listener receives, and how it resumes after a gap.

An event carries ids and a kind, never contents; nobody receives one about what they may not view, and a listener that may have missed
events gets a `resync`.
"""
