"""The exam of the scorers: planted models over a grid of settings, and marks for what was found (METHOD 7)."""
