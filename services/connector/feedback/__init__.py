"""Whether the guide and the pages that tell a problem helped: counts by page, language and month. Nothing here ever knows who answered."""
