"""The view for people: what the body of /health says, in words."""
