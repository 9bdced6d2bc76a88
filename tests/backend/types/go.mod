module skymill.test/backend/types

go 1.25.0

require (
	github.com/argoproj/argo-workflows/v4 v4.0.5
	sigs.k8s.io/jobset v0.12.0
)
