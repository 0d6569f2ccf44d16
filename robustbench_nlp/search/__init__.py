"""Search strategies shared by attacks, as generators that yield requests."""
