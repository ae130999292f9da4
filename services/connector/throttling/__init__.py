"""Limits that hold across all processes, as token buckets in the database, and the list of what we limit with them.

A bucket never gives more than it has, however many ask at once; a refused caller learns when to try again.
"""
