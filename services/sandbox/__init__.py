"""A stand-in for Amazon, for development and tests; never deployed.

It plays the parts that a connected store meets: sign-in and consent on Seller Central, Login with Amazon, the Sellers API,
the Seller Central pages where the seller enters the relay address, and the buyers, whose mails leave by real SMTP. Every
host of Amazon is the first segment of the path, see `shared.marketplaces.reach`. The control API is listed in
`services.sandbox.control.api`, all of it in docs/sandbox.md.
"""
