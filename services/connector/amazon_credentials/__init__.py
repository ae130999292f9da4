"""The application's own credentials at Amazon: which client secrets may be valid, and how a rotated one comes into use.

A notice leaves Amazon's queue only after its content is committed, and a secret is stored only wrapped.
"""
