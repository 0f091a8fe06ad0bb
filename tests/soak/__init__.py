"""Many runs in a row on one cluster, some of them through a proxy that disturbs them."""
