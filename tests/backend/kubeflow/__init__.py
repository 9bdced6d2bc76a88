"""Tests on Kubeflow Pipelines itself; a package, since fixtures end with one."""
