"""Access to the Kubernetes API of the cluster that runs the steps."""
