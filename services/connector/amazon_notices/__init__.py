"""What Amazon tells by itself, through a queue: asked for once a store, and handed to the room that it concerns.

A notice is a hint and proves nothing: it may come late, twice, out of order, or from somebody who can write into the queue. It names a store
only if it came by that store's subscription, and what it says of orders and reports is asked of Amazon before it counts.
"""
