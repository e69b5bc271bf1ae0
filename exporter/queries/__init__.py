"""What is asked, and what rows mean: query files become queries, rows become samples."""
