"""The leaderboard: an entry per defended victim under a published ensemble, with texts by which a stranger checks it."""
