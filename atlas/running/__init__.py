"""What long jobs share: progress, stopping, and working through batches."""
