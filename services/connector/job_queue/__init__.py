"""Runs the rooms' background work: jobs that a transaction asked for, and work that is due again and again.

It decides who does what and when, never what is done. No transaction is open while a job runs, and a job that failed is never lost.
"""
