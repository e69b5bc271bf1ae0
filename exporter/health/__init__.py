"""The view for load balancers and orchestrators: the snapshot as states, checks and reasons."""
