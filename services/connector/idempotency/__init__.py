"""A POST with an Idempotency-Key is done once: this room keeps its answer, sealed, and sends it again.

A failure is never kept, and an answer is never sent to another caller or for another request.
"""
