"""What a real Kubernetes API server says to the manifests, the values and the pods of steps."""
