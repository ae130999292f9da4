"""The stop switch: all calls to Amazon of this application stop within seconds, in every process, and go on again.

A pause changes nothing that is known of a store: no grant, no lock, no trouble. Mail is accepted, shown and answered all the while.
"""
