"""A stand-in for Amazon, for development and tests; never deployed.

It stands in for all that a connected store meets: sign-in and consent on Seller Central, Login with Amazon, the Selling
Partner API, the Seller Central pages where sellers enter the relay address, and the buyers, whose mails leave by real SMTP.
Every host of Amazon is the first segment of the path, see `shared.marketplaces.reach`. docs/sandbox.md describes all of it.
"""
