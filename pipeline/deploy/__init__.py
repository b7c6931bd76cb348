"""What runs the pipeline and serves its models on Kubernetes, rendered from the configuration."""
