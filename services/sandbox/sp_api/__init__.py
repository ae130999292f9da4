"""The operations of the Selling Partner API, with Amazon's checks, rate limits, headers and error bodies.

No operation may answer before it has checked user agent, token, scenarios and rate limit, in this order.
"""
