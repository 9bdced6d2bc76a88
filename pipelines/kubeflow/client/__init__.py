"""Client of a Kubeflow Pipelines server; imports no compiler."""
