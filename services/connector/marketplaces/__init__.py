"""Amazon's marketplaces and countries with their names in the caller's language. Only `shared.marketplaces`
decides which ones there are.
"""
