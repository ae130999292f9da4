"""Messages that an older parser made are made anew by the parser of today, from their raw mail; mail that was held is tried again.

What an agent has decided is never undone here, a verdict on authenticity is never changed, and nothing that cannot be parsed
anew is lost: it stays as it was. Delivery never uses this room.
"""
