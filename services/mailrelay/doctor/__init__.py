"""What `doctor` reports of relay and mail worker: whether database, keys, certificate, ports, DNS, large mail and the way out are as they must be.

It changes nothing, shows no value of a secret, and no password leaves this machine.
"""
