"""The build: which prompts are computed together, by whom, and what it tells at the end."""
