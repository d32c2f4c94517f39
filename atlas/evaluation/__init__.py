"""Evaluation: what localisation is worth, measured by interventions (METHOD 4)."""
