"""Amazon's marketplaces and countries with their names in the caller's language. Which there are decides `shared.marketplaces` alone."""
