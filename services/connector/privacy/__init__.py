"""What is personal and how long it is kept: a rule for each column, the purge that ends what is over, and a buyer's data exported or erased.

What must never happen here: a mail that nobody has read yet is lost; what has ended stays without anybody being told; a name, an address
or a number of an order in a log line, a metric or the audit log.
"""
