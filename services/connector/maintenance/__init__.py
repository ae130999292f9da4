"""Which partitions are made ahead of time and which rows have expired. No job holds up another one or accepting mail, and no row is
removed that is still needed.
"""
