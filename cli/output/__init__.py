"""What the commands write: result tables in six formats, progress and summaries."""
