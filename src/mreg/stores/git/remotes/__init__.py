"""Other repositories: what they have, what is fetched of them, and one atomic push."""
