"""What agents tell each other about a conversation. A note is never sent: no code that sends anything reads it.

Its text is as personal as a message: sealed, in no log, audit entry or event.
"""
