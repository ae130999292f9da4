"""The operations of the Selling Partner API with Amazon's checks and rates, documents of reports, and the queue of notices.

No operation may answer before it has checked user agent, token, scenarios and rate limit, in this order. Documents are
opened by their URL alone, and the queue by a signature.
"""
