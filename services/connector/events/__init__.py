"""Who is told that something has happened: streams of events to browsers and programs that listen.

An event carries ids and a kind, never contents; nobody is told of what they may not view, and a listener that may have missed
events gets a `resync`.
"""
