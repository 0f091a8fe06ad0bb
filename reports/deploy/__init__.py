"""The manifests of deploy/: for `kubectl apply -k`, and as a Helm chart, from the same objects."""
